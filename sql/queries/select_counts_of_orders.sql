-- Parts counted at a machine for some orders, each from its start to a last instant of its own.
SELECT o.work_order,
       coalesce(sum(e.good_count), 0) AS good_count,
       coalesce(sum(e.reject_count), 0) AS reject_count,
       coalesce(sum(e.good_count) FILTER (WHERE e.flag = 'estimated'), 0) AS gap_good_count,
       coalesce(sum(e.reject_count) FILTER (WHERE e.flag = 'estimated'), 0) AS gap_reject_count
FROM unnest(%(orders)s::text[], %(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS o (work_order, starts_at, ends_at)
LEFT JOIN production_events e
    ON e.machine_id = %(machine_id)s AND e.time >= o.starts_at AND e.time <= o.ends_at AND e.work_order = o.work_order
GROUP BY o.work_order
