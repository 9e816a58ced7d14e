-- Rows quarantined with an event in the production day; where the event has no usable time, those set aside in it.
SELECT dataset, reason, count(*) AS rows
FROM quarantine
WHERE coalesce(event_time, quarantined_at) >= %(start)s AND coalesce(event_time, quarantined_at) < %(end)s
GROUP BY dataset, reason
ORDER BY dataset, reason
