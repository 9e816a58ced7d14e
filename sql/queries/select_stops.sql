-- Parts of stops of a machine that touch [start, end).
SELECT time_start, time_end, machine_id, stop_id, stop_started_at, stop_ended_at, as_of, state, bucket, fault_code,
       reason_code, reason_category, reason_detail, reason_source, shift, production_date, operator_id, work_order, notes,
       reason_entry
FROM downtime_events
WHERE machine_id = %(machine_id)s AND time_start < %(end)s AND coalesce(time_end, 'infinity') > %(start)s
ORDER BY time_start
