-- Messages that are due and not sent, and the longest wait.
SELECT channel, count(*) AS waiting, min(due_at) AS since, max(attempts) AS attempts, max(problem) AS problem
FROM alert_message WHERE state = 'waiting' AND due_at <= %(now)s
GROUP BY channel ORDER BY channel
