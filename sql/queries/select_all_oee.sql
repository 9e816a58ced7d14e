-- Elements of every hour.
SELECT * FROM oee_hourly ORDER BY machine_id, time_bucket
