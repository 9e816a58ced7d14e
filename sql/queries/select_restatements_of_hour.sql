-- What changed in an hour of a machine after it had been computed, oldest first.
SELECT column_name, old_value, new_value, old_revision, new_revision, cause, restated_at
FROM restatements
WHERE dataset = 'oee_hourly' AND machine_id = %(machine_id)s AND time_bucket = %(time_bucket)s
ORDER BY restatement_id
