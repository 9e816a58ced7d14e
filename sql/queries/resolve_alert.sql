-- An alert ends.
UPDATE alerts
SET state = 'resolved', resolved_at = %(now)s, resolution = %(detail)s, clear_since = NULL
WHERE alert_id = %(alert_id)s AND state <> 'resolved'
