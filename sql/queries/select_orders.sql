-- Orders that were worked on at a machine in [start, end).
SELECT work_order, part_number, started_at, ended_at
FROM work_orders
WHERE machine_id = %(machine_id)s
  AND started_at < %(end)s
  AND (ended_at IS NULL OR ended_at > %(start)s)
ORDER BY started_at, work_order
