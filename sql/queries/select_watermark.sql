-- The newest event time in the store that is not in the future. LATERAL over tag: an index probe per tag.
SELECT max(latest.time)
FROM tag
CROSS JOIN LATERAL (
    SELECT s.time FROM telemetry_sample s
    WHERE s.tag_id = tag.tag_id AND s.time <= %(now)s
    ORDER BY s.time DESC LIMIT 1
) latest
