-- Hours of a machine that belong to a production date, with their revision.
SELECT * FROM oee_hourly
WHERE machine_id = %(machine_id)s AND production_date = %(date)s
ORDER BY time_bucket
