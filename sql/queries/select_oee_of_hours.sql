-- Hours of a machine whose rows begin in [start, end), with their revision.
SELECT * FROM oee_hourly
WHERE machine_id = %(machine_id)s AND time_bucket >= %(start)s AND time_bucket < %(end)s
ORDER BY time_bucket
