-- Whoever was told that it began is told that it is over.
INSERT INTO alert_message (alert_id, kind, step, channel, address, role, due_at)
SELECT DISTINCT ON (channel, address) alert_id, 'resolved', 0, channel, address, role, %(now)s::timestamptz
FROM alert_message WHERE alert_id = %(alert_id)s AND state <> 'dropped'
ORDER BY channel, address, message_id
ON CONFLICT (alert_id, kind, step, channel, address) DO NOTHING
