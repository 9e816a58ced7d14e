-- Production dates that have time in [start, end) now, or had when `oee_shift` was last computed, and the span that all
-- time of these dates lies in.
WITH dates AS (
    SELECT production_date FROM machine_time WHERE starts_at >= %(start)s AND starts_at < %(end)s
    UNION
    SELECT production_date FROM oee_shift WHERE starts_at < %(end)s AND ends_at > %(start)s
)
SELECT d.production_date, min(l.starts_at) AS starts_at, max(l.ends_at) AS ends_at
FROM dates d
LEFT JOIN machine_time l USING (production_date)
GROUP BY d.production_date
ORDER BY d.production_date
