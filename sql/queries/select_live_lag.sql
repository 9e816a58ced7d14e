-- How far the live figures are told, and of the samples that are newer the one that has been waiting longest.
SELECT live.as_of, waiting.time, waiting.stored_at
FROM (SELECT min(as_of) AS as_of FROM live_oee) AS live
LEFT JOIN LATERAL (
    SELECT s.time, s.stored_at
    FROM tag t
    CROSS JOIN LATERAL (
        SELECT x.time, x.time + coalesce(x.ingested_lag_us, 0) * interval '1 microsecond' AS stored_at
        FROM telemetry_sample x
        WHERE x.tag_id = t.tag_id AND x.time > live.as_of AND x.time <= %(now)s
        ORDER BY x.time LIMIT 1
    ) s
    ORDER BY s.stored_at LIMIT 1
) waiting ON true
