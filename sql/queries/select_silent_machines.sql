-- Newest event time of each machine that ever sent anything, up to now.
SELECT t.machine_id, max(latest.time) AS newest
FROM tag t
CROSS JOIN LATERAL (
    SELECT s.time FROM telemetry_sample s
    WHERE s.tag_id = t.tag_id AND s.time <= %(now)s
    ORDER BY s.time DESC LIMIT 1
) latest
GROUP BY t.machine_id
ORDER BY t.machine_id
