-- Samples of some tags of a machine in [start, end), and up to %(context)s samples of each tag before and after:
-- the rules for counters look a few samples around.
SELECT s.time, t.metric_name, t.native_code, s.value, s.value_text, s.quality
FROM tag t
CROSS JOIN LATERAL (
    (SELECT b.* FROM telemetry_sample b
     WHERE b.tag_id = t.tag_id AND b.time < %(start)s
     ORDER BY b.time DESC LIMIT %(context)s)
    UNION ALL
    (SELECT i.* FROM telemetry_sample i
     WHERE i.tag_id = t.tag_id AND i.time >= %(start)s AND i.time < %(end)s)
    UNION ALL
    (SELECT a.* FROM telemetry_sample a
     WHERE a.tag_id = t.tag_id AND a.time >= %(end)s
     ORDER BY a.time LIMIT %(context)s)
) s
WHERE t.machine_id = %(machine_id)s AND t.metric_name = ANY(%(metrics)s)
ORDER BY s.time, t.metric_name, t.native_code
