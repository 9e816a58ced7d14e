-- Whom something has to be told now.
SELECT channel, address, min(message_id) AS first FROM alert_message
WHERE state = 'waiting' AND due_at <= %(now)s AND (retry_at IS NULL OR retry_at <= %(now)s)
GROUP BY channel, address ORDER BY first
