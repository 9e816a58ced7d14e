-- Production dates whose data quality can depend on what happened in [start, end): those with time in it now, those that
-- had when it was last computed, and those on which a stop began that reaches into it.
SELECT production_date FROM machine_time WHERE starts_at >= %(start)s AND starts_at < %(end)s
UNION
SELECT production_date FROM data_quality WHERE starts_at < %(end)s AND ends_at > %(start)s
UNION
SELECT first.production_date
FROM (
    SELECT DISTINCT machine_id, stop_id, stop_started_at
    FROM downtime_events
    WHERE time_start < %(end)s AND coalesce(time_end, as_of) > %(start)s
) touching
CROSS JOIN LATERAL (
    SELECT d.production_date
    FROM downtime_events d
    WHERE d.machine_id = touching.machine_id AND d.time_start >= touching.stop_started_at
      AND d.stop_id = touching.stop_id
    ORDER BY d.time_start LIMIT 1
) first
ORDER BY production_date
