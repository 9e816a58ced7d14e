-- What each tag with numbers showed in the %(seconds)s before each stop, good samples only: count, mean, deviation,
-- smallest, largest, newest. The stop's own instant is not part of it. float4: the same rows give the same text however
-- the server added them up.
SELECT b.nth, jsonb_object_agg(b.name, jsonb_build_object(
           'n', b.n, 'mean', b.mean, 'std', b.std, 'min', b.low, 'max', b.high, 'last', b.newest)
           ORDER BY b.name)::text AS sensors
FROM (
    SELECT s.nth, t.metric_name || CASE t.native_code WHEN '' THEN '' ELSE '[' || t.native_code || ']' END AS name,
           x.n, x.mean, x.std, x.low, x.high, x.newest
    FROM unnest(%(machines)s::text[], %(starts)s::timestamptz[]) WITH ORDINALITY AS s (machine_id, at, nth)
    JOIN tag t ON t.machine_id = s.machine_id
    CROSS JOIN LATERAL (
        SELECT count(*) AS n, avg(v.value)::float4 AS mean, stddev_pop(v.value)::float4 AS std,
               min(v.value)::float4 AS low, max(v.value)::float4 AS high,
               (array_agg(v.value ORDER BY v.time DESC))[1]::float4 AS newest
        FROM telemetry_sample v
        WHERE v.tag_id = t.tag_id AND v.time >= s.at - %(seconds)s * interval '1 second' AND v.time < s.at
          AND v.quality >= 192 AND v.value IS NOT NULL AND v.value <> 'NaN'
    ) x
    WHERE x.n > 0
) b
GROUP BY b.nth
ORDER BY b.nth
