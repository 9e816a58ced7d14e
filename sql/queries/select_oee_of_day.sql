-- Hours of a production date.
SELECT * FROM oee_hourly WHERE production_date = %(date)s ORDER BY machine_id, time_bucket
