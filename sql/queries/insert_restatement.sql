-- One changed figure of one closed hour; the revision in the table is the new one already.
INSERT INTO restatements (dataset, machine_id, time_bucket, production_date, column_name, old_value, new_value,
                          old_revision, new_revision, cause)
SELECT 'oee_hourly', o.machine_id, o.time_bucket, %(production_date)s, %(column_name)s, %(old_value)s, %(new_value)s,
       o.revision - 1, o.revision, %(cause)s
FROM oee_hourly o
WHERE o.machine_id = %(machine_id)s AND o.time_bucket = %(time_bucket)s
