-- Hours of some production dates added up by machine and date.
SELECT machine_id, production_date, sum(good_count) AS good_count, sum(reject_count) AS reject_count,
       sum(rework_count) AS rework_count, sum(planned_time_us)::bigint AS planned_time_us,
       sum(run_time_us)::bigint AS run_time_us, sum(running_us)::bigint AS running_us,
       sum(failure_us)::bigint AS failure_us, sum(changeover_us)::bigint AS changeover_us,
       sum(planned_stop_us)::bigint AS planned_stop_us, sum(other_stop_us)::bigint AS other_stop_us,
       sum(micro_stop_us)::bigint AS micro_stop_us, sum(break_us)::bigint AS break_us,
       sum(not_scheduled_us)::bigint AS not_scheduled_us, sum(unknown_us)::bigint AS unknown_us
FROM oee_hourly
WHERE production_date = ANY(%(dates)s)
GROUP BY machine_id, production_date
