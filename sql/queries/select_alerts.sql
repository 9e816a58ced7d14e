-- Alerts, newest first; with %(all)s also those that are over.
SELECT alert_id, rule, side, severity, state, subject, machine_id, line, title, message, value, limit_value, unit,
       since, opened_at, acknowledged_at, acknowledged_by, resolved_at, resolution
FROM alerts WHERE state <> 'resolved' OR %(all)s
ORDER BY opened_at DESC, alert_id DESC LIMIT %(most)s
