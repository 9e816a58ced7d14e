-- Whole stops over two minutes in the last seven days of stops, and how many of them an operator explained within
-- five minutes of their start.
WITH recent AS (
    SELECT DISTINCT d.machine_id, d.stop_id, d.stop_started_at, d.stop_ended_at
    FROM downtime_events d
    WHERE d.time_start > (SELECT max(time_start) FROM downtime_events) - interval '7 days'
      AND d.bucket <> 'micro_stop'
      AND coalesce(d.stop_ended_at, d.as_of) - d.stop_started_at > interval '2 minutes'
)
SELECT count(*),
       count(*) FILTER (WHERE EXISTS (
           SELECT FROM operator_entries e
           WHERE e.machine_id = r.machine_id AND e.kind = 'reason'
             AND e.starts_at < coalesce(r.stop_ended_at, 'infinity')
             AND coalesce(e.ends_at, e.starts_at + interval '1 second') > r.stop_started_at
             AND e.entered_at <= r.stop_started_at + interval '5 minutes'))
FROM recent r
