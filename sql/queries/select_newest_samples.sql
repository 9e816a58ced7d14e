-- The newest 100 samples of each tag in [start, end), in the columns of the registry.
SELECT s.time, t.machine_id, t.metric_name, t.native_code, s.value, s.value_text, t.unit, s.quality, t.source,
       s.time + s.published_lag_us * interval '1 microsecond' AS published_at,
       s.time + s.ingested_lag_us * interval '1 microsecond' AS ingested_at
FROM tag t
CROSS JOIN LATERAL (
    SELECT * FROM telemetry_sample x
    WHERE x.tag_id = t.tag_id AND x.time >= %(start)s AND x.time < %(end)s
    ORDER BY x.time DESC LIMIT 100
) s
