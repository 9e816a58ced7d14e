-- Production events of a machine in [start, end) that count rejects.
SELECT time, event_key, part_number, work_order, reject_count, reject_reason, operator_id
FROM production_events
WHERE machine_id = %(machine_id)s AND time >= %(start)s AND time < %(end)s AND reject_count > 0
ORDER BY time, event_type, event_key
