-- Incoming samples that are not in the store go there; what stays in `incoming` was met.
WITH inserted AS (
    INSERT INTO telemetry_sample (tag_id, time, value, value_text, quality, published_lag_us, ingested_lag_us)
    SELECT i.tag_id, i.time, i.value, i.value_text, i.quality, i.published_lag_us, i.ingested_lag_us
    FROM incoming i
    ORDER BY i.tag_id, i.time
    ON CONFLICT (tag_id, time) DO NOTHING
    RETURNING tag_id, time
)
DELETE FROM incoming i USING inserted n WHERE i.tag_id = n.tag_id AND i.time = n.time
