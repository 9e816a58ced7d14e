-- Hours of the production dates before, for the trend.
SELECT * FROM oee_hourly WHERE production_date >= %(first)s AND production_date < %(date)s
ORDER BY machine_id, time_bucket
