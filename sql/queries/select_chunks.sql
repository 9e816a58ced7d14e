-- Chunks of the samples that end before a moment, oldest first.
SELECT range_start, range_end
FROM timescaledb_information.chunks
WHERE hypertable_schema = 'public' AND hypertable_name = 'telemetry_sample' AND range_end <= %(before)s
ORDER BY range_start
