-- Which version of the model answered for stops that began in [start, end).
SELECT machine_id, stop_started_at, model_version
FROM downtime_causes
WHERE stop_started_at >= %(start)s AND stop_started_at < %(end)s AND model_version IS NOT NULL
