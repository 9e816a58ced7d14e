-- Samples of some tags of a machine in [start, end), and what explains them: up to %(context)s of each tag before and
-- after. For the tags in %(runs)s also where the value in force at the start began, however long ago (its first sample
-- and the one before that), and the next other value after the end, if it comes within an hour.
SELECT s.time, t.metric_name, t.native_code, s.value, s.value_text, s.quality
FROM tag t
LEFT JOIN LATERAL (
    SELECT l.value, l.value_text, l.quality >= 192 AS good
    FROM telemetry_sample l
    WHERE l.tag_id = t.tag_id AND l.time < %(start)s AND t.metric_name = ANY(%(runs)s)
    ORDER BY l.time DESC LIMIT 1
) held ON true
LEFT JOIN LATERAL (
    SELECT c.time
    FROM telemetry_sample c
    WHERE c.tag_id = t.tag_id AND c.time < %(start)s AND t.metric_name = ANY(%(runs)s)
      AND (c.value, c.value_text, c.quality >= 192) IS DISTINCT FROM (held.value, held.value_text, held.good)
    ORDER BY c.time DESC LIMIT 1
) other ON true
LEFT JOIN LATERAL (
    SELECT n.value, n.value_text
    FROM telemetry_sample n
    WHERE n.tag_id = t.tag_id AND n.time >= %(end)s AND t.metric_name = ANY(%(runs)s)
    ORDER BY n.time LIMIT 1
) next ON true
CROSS JOIN LATERAL (
    ((SELECT c.* FROM telemetry_sample c WHERE c.tag_id = t.tag_id AND c.time = other.time)
     UNION
     (SELECT f.* FROM telemetry_sample f
      WHERE f.tag_id = t.tag_id AND f.time < %(start)s AND t.metric_name = ANY(%(runs)s)
        AND f.time > coalesce(other.time, '-infinity')
      ORDER BY f.time LIMIT 1)
     UNION
     (SELECT b.* FROM telemetry_sample b
      WHERE b.tag_id = t.tag_id AND b.time < %(start)s
      ORDER BY b.time DESC LIMIT %(context)s))
    UNION ALL
    (SELECT i.* FROM telemetry_sample i
     WHERE i.tag_id = t.tag_id AND i.time >= %(start)s AND i.time < %(end)s)
    UNION ALL
    ((SELECT a.* FROM telemetry_sample a
      WHERE a.tag_id = t.tag_id AND a.time >= %(end)s
      ORDER BY a.time LIMIT %(context)s)
     UNION
     (SELECT d.* FROM telemetry_sample d
      WHERE d.tag_id = t.tag_id AND d.time >= %(end)s AND d.time < %(end)s + interval '1 hour'
        AND t.metric_name = ANY(%(runs)s)
        AND (d.value, d.value_text) IS DISTINCT FROM (next.value, next.value_text)
      ORDER BY d.time LIMIT 1))
) s
WHERE t.machine_id = %(machine_id)s AND t.metric_name = ANY(%(metrics)s)
ORDER BY s.time, t.metric_name, t.native_code
