-- When a sensor of a machine was first heard from a moment on.
SELECT min(s.time)
FROM tag t
CROSS JOIN LATERAL (
    SELECT time FROM telemetry_sample
    WHERE tag_id = t.tag_id AND time >= %(start)s AND quality >= 192
    ORDER BY time LIMIT 1
) s
WHERE t.machine_id = %(machine_id)s AND t.metric_name = %(metric_name)s
