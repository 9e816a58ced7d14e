-- Somebody has to be told; once.
INSERT INTO alert_message (alert_id, kind, step, channel, address, role, due_at)
VALUES (%(alert_id)s, %(kind)s, %(step)s, %(channel)s, %(address)s, %(role)s, %(due_at)s)
ON CONFLICT (alert_id, kind, step, channel, address) DO NOTHING
RETURNING message_id
