-- Samples with an event time in [start, end).
SELECT count(*) FROM telemetry_sample WHERE time >= %(start)s AND time < %(end)s
