-- Restatements of figures of a production date, and of any day made while it lasted.
SELECT dataset, level, machine_id, period, time_bucket, shift, production_date, column_name, old_value, new_value,
       old_revision, new_revision, cause, restated_at
FROM restatements
WHERE production_date = %(date)s OR (restated_at >= %(start)s AND restated_at < %(end)s)
ORDER BY machine_id, time_bucket, column_name, restatement_id
