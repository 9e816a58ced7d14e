-- Spans in which no tag of a machine was heard for longer than %(silence_us)s microseconds and which touch
-- [start, end): from the last sample heard to the next; ends_at is NULL where nothing came since.
WITH heard AS (
    SELECT DISTINCT s.time
    FROM tag t
    JOIN telemetry_sample s USING (tag_id)
    WHERE t.machine_id = %(machine_id)s AND s.time >= %(start)s AND s.time < %(end)s
),
edges AS (
    SELECT max(b.time) AS time
    FROM tag t
    CROSS JOIN LATERAL (
        SELECT s.time FROM telemetry_sample s
        WHERE s.tag_id = t.tag_id AND s.time < %(start)s
        ORDER BY s.time DESC LIMIT 1
    ) b
    WHERE t.machine_id = %(machine_id)s
    UNION ALL
    SELECT min(a.time)
    FROM tag t
    CROSS JOIN LATERAL (
        SELECT s.time FROM telemetry_sample s
        WHERE s.tag_id = t.tag_id AND s.time >= %(end)s
        ORDER BY s.time LIMIT 1
    ) a
    WHERE t.machine_id = %(machine_id)s
),
steps AS (
    SELECT time AS starts_at, lead(time) OVER (ORDER BY time) AS ends_at
    FROM (SELECT time FROM heard UNION SELECT time FROM edges WHERE time IS NOT NULL) AS times
)
SELECT starts_at, ends_at
FROM steps
-- What was heard first after the end is not known to be the last.
WHERE starts_at < %(end)s
  AND coalesce(ends_at, %(now)s) - starts_at > %(silence_us)s * interval '1 microsecond'
ORDER BY starts_at
