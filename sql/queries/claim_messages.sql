-- All messages of one address that are due, oldest first; another sender passes over them.
SELECT m.message_id, m.kind, m.batch, m.attempts, m.role, m.alert_id, a.rule, a.side, a.severity, a.state, a.subject,
       a.machine_id, a.line, a.title, a.message, a.evidence, a.value, a.limit_value, a.unit, a.since, a.opened_at,
       a.resolved_at, a.resolution, a.acknowledged_by
FROM alert_message m
JOIN alerts a USING (alert_id)
WHERE m.state = 'waiting' AND m.channel = %(channel)s AND m.address = %(address)s AND m.due_at <= %(now)s
  AND (m.retry_at IS NULL OR m.retry_at <= %(now)s)
ORDER BY m.message_id
FOR UPDATE OF m SKIP LOCKED
