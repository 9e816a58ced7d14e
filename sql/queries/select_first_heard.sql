-- The first sample of a machine ever. LATERAL over tag: an index probe per tag.
SELECT min(first.time)
FROM tag
CROSS JOIN LATERAL (
    SELECT s.time FROM telemetry_sample s WHERE s.tag_id = tag.tag_id ORDER BY s.time LIMIT 1
) first
WHERE tag.machine_id = %(machine_id)s
