-- Stops that began in [start, end) and lasted %(at_least_s)s or longer, so far where they still last. A stop's rows are
-- its parts in scheduled time; the first may come days after it began (a machine left standing on Friday).
SELECT DISTINCT ON (d.machine_id, d.stop_started_at)
       d.machine_id, d.stop_started_at, d.stop_id, d.state, d.fault_code, d.shift, d.production_date
FROM downtime_events d
WHERE d.time_start >= %(start)s AND d.time_start < %(end)s + interval '14 days'
  AND d.stop_started_at >= %(start)s AND d.stop_started_at < %(end)s
  AND coalesce(d.stop_ended_at, d.as_of) - d.stop_started_at >= %(at_least_s)s * interval '1 second'
ORDER BY d.machine_id, d.stop_started_at, d.time_start
