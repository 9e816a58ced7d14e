-- Somebody looks after it.
UPDATE alerts SET state = 'acknowledged', acknowledged_at = %(now)s, acknowledged_by = %(by)s
WHERE alert_id = %(alert_id)s AND state = 'open'
RETURNING alert_id
