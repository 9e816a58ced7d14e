-- The category that was named for stops which began in [start, end): of several the one with most of the time.
SELECT DISTINCT ON (p.machine_id, p.stop_started_at)
       p.machine_id, p.stop_started_at, p.reason_category, p.has_ended
FROM (
    SELECT d.machine_id, d.stop_started_at, d.reason_category, bool_and(d.stop_ended_at IS NOT NULL) AS has_ended,
           sum(d.duration_us) AS time_us
    FROM downtime_events d
    WHERE d.stop_started_at >= %(start)s AND d.stop_started_at < %(end)s AND d.time_start >= %(start)s
      AND d.reason_category IS NOT NULL
    GROUP BY d.machine_id, d.stop_started_at, d.reason_category
) p
ORDER BY p.machine_id, p.stop_started_at, p.time_us DESC, p.reason_category
