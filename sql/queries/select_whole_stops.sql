-- All parts of the stops of a machine of which a part is on one of some production dates.
SELECT d.stop_id, d.stop_started_at, d.stop_ended_at, d.time_start, d.time_end, d.bucket, d.reason_source, d.shift,
       d.production_date, d.as_of
FROM (
    SELECT DISTINCT stop_id, stop_started_at
    FROM downtime_events
    WHERE machine_id = %(machine_id)s AND production_date = ANY(%(dates)s)
) touching
JOIN downtime_events d
    ON d.machine_id = %(machine_id)s AND d.stop_id = touching.stop_id AND d.time_start >= touching.stop_started_at
ORDER BY d.time_start
