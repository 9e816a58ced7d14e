-- Samples of some tags of a machine in [start, end), and of each tag up to %(context)s of good quality before and after,
-- with the others between them: the rules for counters look a few readings around.
SELECT s.time, t.metric_name, t.native_code, s.value, s.value_text, s.quality
FROM tag t
CROSS JOIN LATERAL (
    (SELECT b.* FROM telemetry_sample b
     WHERE b.tag_id = t.tag_id AND b.time < %(start)s
       AND b.time >= (SELECT min(g.time) FROM (
           SELECT x.time FROM telemetry_sample x
           WHERE x.tag_id = t.tag_id AND x.time < %(start)s AND x.quality >= 192
           ORDER BY x.time DESC LIMIT %(context)s) g))
    UNION ALL
    (SELECT i.* FROM telemetry_sample i
     WHERE i.tag_id = t.tag_id AND i.time >= %(start)s AND i.time < %(end)s)
    UNION ALL
    (SELECT a.* FROM telemetry_sample a
     WHERE a.tag_id = t.tag_id AND a.time >= %(end)s
       AND a.time <= (SELECT max(g.time) FROM (
           SELECT x.time FROM telemetry_sample x
           WHERE x.tag_id = t.tag_id AND x.time >= %(end)s AND x.quality >= 192
           ORDER BY x.time LIMIT %(context)s) g))
) s
WHERE t.machine_id = %(machine_id)s AND t.metric_name = ANY(%(metrics)s)
ORDER BY s.time, t.metric_name, t.native_code
