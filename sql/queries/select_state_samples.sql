-- Samples of the state tags of a machine in [start, end), and the last samples before, however old: the state that
-- was in force when the window began.
SELECT s.time, t.metric_name, t.native_code, s.value, s.value_text, s.quality
FROM tag t
CROSS JOIN LATERAL (
    (SELECT b.* FROM telemetry_sample b
     WHERE b.tag_id = t.tag_id AND b.time < %(start)s
     ORDER BY b.time DESC LIMIT %(context)s)
    UNION ALL
    (SELECT i.* FROM telemetry_sample i
     WHERE i.tag_id = t.tag_id AND i.time >= %(start)s AND i.time < %(end)s)
) s
WHERE t.machine_id = %(machine_id)s AND t.metric_name = ANY(%(metrics)s)
ORDER BY s.time, t.metric_name, t.native_code
