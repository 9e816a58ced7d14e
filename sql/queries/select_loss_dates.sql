-- Production dates of which a change in [start, end) can move the losses, and the span that all time of these dates lies
-- in: dates with time there now, or when their losses were last computed, and those on which a stop that reaches into it
-- has a part: it is counted where it began.
WITH dates AS (
    SELECT production_date FROM machine_time WHERE starts_at >= %(start)s AND starts_at < %(end)s
    UNION
    SELECT production_date FROM oee_shift WHERE starts_at < %(end)s AND ends_at > %(start)s
    UNION
    SELECT production_date FROM losses WHERE starts_at < %(end)s AND ends_at > %(start)s
    UNION
    SELECT other.production_date
    FROM downtime_events part
    JOIN downtime_events other
        ON other.machine_id = part.machine_id AND other.stop_id = part.stop_id
        AND other.time_start >= part.stop_started_at
    WHERE part.time_start < %(end)s AND coalesce(part.time_end, 'infinity') > %(start)s
)
SELECT d.production_date, min(l.starts_at) AS starts_at, max(l.ends_at) AS ends_at
FROM dates d
LEFT JOIN machine_time l USING (production_date)
GROUP BY d.production_date
ORDER BY d.production_date
