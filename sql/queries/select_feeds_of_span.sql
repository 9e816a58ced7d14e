-- Samples of a machine in [start, end) by source. LATERAL over tag: a range of the key per tag.
SELECT t.source,
       count(*) AS tags,
       sum(s.samples)::bigint AS samples,
       min(s.first_at) AS first_at,
       max(s.last_at) AS last_at,
       max(s.last_stored_at) AS last_stored_at
FROM tag t
CROSS JOIN LATERAL (
    SELECT count(*) AS samples,
           min(r.time) AS first_at,
           max(r.time) AS last_at,
           max(r.time + r.ingested_lag_us * interval '1 microsecond') AS last_stored_at
    FROM telemetry_sample r
    WHERE r.tag_id = t.tag_id AND r.time >= %(start)s AND r.time < %(end)s
) s
WHERE t.machine_id = %(machine_id)s AND s.samples > 0
GROUP BY t.source
ORDER BY t.source
