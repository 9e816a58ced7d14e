-- How far the time of a machine is told.
SELECT max(ends_at) FROM machine_time WHERE machine_id = %(machine_id)s
