-- An alert opens.
INSERT INTO alerts (alert_key, rule, side, subject, machine_id, line, severity, level, state, title, message, evidence,
                    value, limit_value, unit, since, opened_at)
VALUES (%(key)s, %(rule)s, %(side)s, %(subject)s, %(machine_id)s, %(line)s, %(severity)s, %(level)s, 'open', %(title)s,
        %(message)s, %(evidence)s, %(value)s, %(limit)s, %(unit)s, %(since)s, %(opened_at)s)
RETURNING alert_id
