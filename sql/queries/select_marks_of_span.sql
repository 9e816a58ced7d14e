-- What waits to be computed again for a machine in [start, end).
SELECT dataset, cause, min(marked_at) AS marked_at
FROM dirty_mark
WHERE machine_id = %(machine_id)s AND dataset = ANY(%(datasets)s) AND quarter >= %(start)s AND quarter < %(end)s
GROUP BY dataset, cause
ORDER BY min(marked_at), dataset, cause
