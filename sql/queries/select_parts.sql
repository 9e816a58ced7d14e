-- What was counted at a machine in [start, end): production events without alarms.
SELECT time, event_type, event_key, part_number, good_count, reject_count, rework_count, since, flag
FROM production_events
WHERE machine_id = %(machine_id)s AND time >= %(start)s AND time < %(end)s
  AND event_type IN ('cycle_complete', 'reject', 'rework')
ORDER BY time, event_type, event_key
