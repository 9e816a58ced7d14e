-- An alert that goes on, with the figures of now.
UPDATE alerts
SET severity = %(severity)s, level = %(level)s, message = %(message)s, evidence = %(evidence)s, value = %(value)s,
    limit_value = %(limit)s, since = %(since)s, clear_since = %(clear_since)s
WHERE alert_id = %(alert_id)s
