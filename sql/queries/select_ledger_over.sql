-- The loss ledger of a machine that overlaps [start, end).
SELECT starts_at, ends_at, bucket
FROM machine_time
WHERE machine_id = %(machine_id)s AND starts_at < %(end)s AND ends_at > %(start)s
ORDER BY starts_at
