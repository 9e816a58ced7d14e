-- What of the counted parts of a machine in [start, end) says more than the ledger and the orders do: rejects, rework,
-- and bookings of a part that is not the one of the order in work, which is the order started last. Of a month of a fast
-- machine that is one row in fifty.
SELECT e.time, e.event_type, e.event_key, e.part_number, e.good_count, e.reject_count, e.rework_count, e.since, e.flag
FROM production_events e
LEFT JOIN LATERAL (
    SELECT o.part_number
    FROM work_orders o
    WHERE e.since IS NOT NULL AND e.part_number IS NOT NULL
      AND o.machine_id = e.machine_id AND o.started_at <= e.time AND (o.ended_at IS NULL OR o.ended_at > e.time)
    ORDER BY o.started_at DESC, o.work_order COLLATE "C" DESC
    LIMIT 1
) in_work ON true
WHERE e.machine_id = %(machine_id)s AND e.time >= %(start)s AND e.time < %(end)s
  AND e.event_type NOT IN ('state_change', 'alarm')
  AND (e.reject_count > 0 OR e.rework_count > 0
       OR (e.since IS NOT NULL AND e.part_number IS NOT NULL AND e.part_number IS DISTINCT FROM in_work.part_number))
ORDER BY e.time, e.event_type, e.event_key
