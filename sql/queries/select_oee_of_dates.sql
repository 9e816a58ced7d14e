-- Hours of some production dates.
SELECT * FROM oee_hourly WHERE production_date = ANY(%(dates)s) ORDER BY machine_id, time_bucket
