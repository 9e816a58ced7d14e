-- Shifts and parts of some production dates.
SELECT machine_id, production_date, shift, part_number, starts_at, ends_at, good_count, reject_count, rework_count,
       gap_good_count, gap_reject_count, planned_time_us, run_time_us, ideal_time_us, ideal_good_time_us, running_us,
       failure_us, changeover_us, planned_stop_us, other_stop_us, micro_stop_us, break_us, not_scheduled_us, unknown_us,
       off_plan_run_us, off_plan_good_count, off_plan_reject_count, convention, fingerprint
FROM oee_shift
WHERE production_date = ANY(%(dates)s)
ORDER BY machine_id, production_date, shift, part_number
