-- All parts of the stops that have one on some production dates.
SELECT machine_id, stop_id, time_start, time_end, stop_ended_at, as_of, bucket, reason_category, shift, production_date
FROM downtime_events part
WHERE EXISTS (
    SELECT FROM downtime_events own
    WHERE own.machine_id = part.machine_id AND own.stop_id = part.stop_id AND own.production_date = ANY(%(dates)s)
)
ORDER BY machine_id, time_start
