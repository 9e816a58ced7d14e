-- Alerts that are not resolved.
SELECT alert_id, alert_key, rule, subject, level, severity, since, opened_at, state, machine_id, line, title, message,
       evidence, value, limit_value, clear_since
FROM alerts WHERE state <> 'resolved' AND (%(rules)s::text[] IS NULL OR rule = ANY (%(rules)s))
ORDER BY alert_id
