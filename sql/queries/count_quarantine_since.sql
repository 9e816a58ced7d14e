-- Rows set aside since a moment, by reason, with the explanation of one of them.
SELECT dataset, reason, count(*) AS rows, min(detail) AS detail
FROM quarantine
WHERE quarantined_at >= %(since)s
GROUP BY dataset, reason
ORDER BY dataset, reason
