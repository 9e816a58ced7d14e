-- Samples from the archive beside those that are there: what is hot is newer and stays.
INSERT INTO telemetry_sample (tag_id, time, value, value_text, quality, published_lag_us, ingested_lag_us)
SELECT t.tag_id, r.time, r.value, r.value_text, r.quality,
       (extract(epoch FROM r.published_at - r.time) * 1000000)::bigint,
       (extract(epoch FROM r.ingested_at - r.time) * 1000000)::bigint
FROM restoring r
JOIN tag t USING (machine_id, metric_name, native_code)
ORDER BY t.tag_id, r.time
ON CONFLICT (tag_id, time) DO NOTHING
