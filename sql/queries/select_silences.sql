-- The same spans as select_feed_gaps, found by walking: from a sample heard to the last one within the silence allowed,
-- so that the cost is that of the time and the tags, not of the samples. For short windows of dense feeds; over months
-- of many seldom tags reading the samples is quicker.
WITH RECURSIVE tags AS MATERIALIZED (
    SELECT tag_id, %(silence_us)s * interval '1 microsecond' AS allowed FROM tag WHERE machine_id = %(machine_id)s
),
walk AS (
    SELECT coalesce(
        (SELECT max(b.time) FROM tags t CROSS JOIN LATERAL (
            SELECT s.time FROM telemetry_sample s
            WHERE s.tag_id = t.tag_id AND s.time < %(start)s
            ORDER BY s.time DESC LIMIT 1) b),
        (SELECT min(a.time) FROM tags t CROSS JOIN LATERAL (
            SELECT s.time FROM telemetry_sample s
            WHERE s.tag_id = t.tag_id AND s.time >= %(start)s
            ORDER BY s.time LIMIT 1) a)
    ) AS time, NULL::timestamptz AS silent_since
    UNION ALL
    SELECT coalesce(near.time, later.time), CASE WHEN near.time IS NULL THEN walk.time END
    FROM walk
    CROSS JOIN LATERAL (
        SELECT max(n.time) AS time FROM tags t CROSS JOIN LATERAL (
            SELECT s.time FROM telemetry_sample s
            WHERE s.tag_id = t.tag_id AND s.time > walk.time AND s.time <= walk.time + t.allowed
            ORDER BY s.time DESC LIMIT 1) n
    ) near
    LEFT JOIN LATERAL (
        SELECT min(l.time) AS time FROM tags t CROSS JOIN LATERAL (
            SELECT s.time FROM telemetry_sample s
            WHERE s.tag_id = t.tag_id AND s.time > walk.time + t.allowed
            ORDER BY s.time LIMIT 1) l
    ) later ON near.time IS NULL
    WHERE walk.time < %(end)s
)
SELECT silent_since AS starts_at, time AS ends_at
FROM walk
WHERE silent_since IS NOT NULL
  AND (time IS NOT NULL OR %(now)s - silent_since > %(silence_us)s * interval '1 microsecond')
ORDER BY starts_at
