-- Incoming samples that are not in the store.
INSERT INTO telemetry_sample (tag_id, time, value, value_text, quality, published_lag_us, ingested_lag_us)
SELECT i.tag_id, i.time, i.value, i.value_text, i.quality, i.published_lag_us, i.ingested_lag_us
FROM incoming i
WHERE NOT EXISTS (SELECT FROM telemetry_sample s WHERE s.tag_id = i.tag_id AND s.time = i.time)
ON CONFLICT (tag_id, time) DO NOTHING
