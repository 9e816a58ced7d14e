-- Production events of a machine in [start, end).
SELECT time, machine_id, event_type, event_key, part_number, work_order, cycle_time_ms, good_count, reject_count,
       rework_count, reject_reason, machine_state, fault_code, operator_id, since, flag, as_of
FROM production_events
WHERE machine_id = %(machine_id)s AND time >= %(start)s AND time < %(end)s
ORDER BY time, event_type, event_key
