-- Incoming samples that are not in the store go there; how many of each tag and quarter hour.
-- The bounds repeat what the join says: they leave all chunks but a few out.
WITH inserted AS (
    INSERT INTO telemetry_sample (tag_id, time, value, value_text, quality, published_lag_us, ingested_lag_us)
    SELECT i.tag_id, i.time, i.value, i.value_text, i.quality, i.published_lag_us, i.ingested_lag_us
    FROM incoming i
    WHERE NOT EXISTS (SELECT FROM telemetry_sample s
                      WHERE s.tag_id = i.tag_id AND s.time = i.time AND s.time BETWEEN %(first)s AND %(last)s)
    ORDER BY i.tag_id, i.time
    ON CONFLICT (tag_id, time) DO NOTHING
    RETURNING tag_id, time
)
SELECT tag_id, date_bin('15 minutes', time, '2000-01-01 00:00:00+00') AS quarter, count(*) AS samples
FROM inserted
GROUP BY tag_id, quarter
