-- What was counted at a machine in [start, end), production events without alarms: one row for what is said of many
-- alike, with their instants packed, whole microseconds since 2000 in eight bytes each. A row for every part took eight
-- times as long. What is no part is named rather than what is: that leaves the planner the index by machine and time.
-- `since` comes in the order of `time`; the smallest int64 stands for a missing one.
SELECT string_agg(timestamptz_send(time), ''::bytea) AS time, event_type, event_key, part_number,
       good_count, reject_count, rework_count,
       string_agg(coalesce(timestamptz_send(since), '\x8000000000000000'), ''::bytea) AS since, flag
FROM production_events
WHERE machine_id = %(machine_id)s AND time >= %(start)s AND time < %(end)s
  AND event_type NOT IN ('state_change', 'alarm')
GROUP BY event_type, event_key, part_number, good_count, reject_count, rework_count, flag
ORDER BY event_type, event_key
