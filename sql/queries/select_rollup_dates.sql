-- Production dates of which a change in [start, end) can move a roll-up: those with time there now or when they were
-- last rolled up, and those on which a stop that reaches into it has a part: a failure counts where it began.
SELECT production_date FROM oee_shift WHERE starts_at < %(end)s AND ends_at > %(start)s
UNION
SELECT period_start FROM kpi_rollup
WHERE level = 'machine' AND period = 'day' AND starts_at < %(end)s AND ends_at > %(start)s
UNION
SELECT other.production_date
FROM downtime_events part
JOIN downtime_events other
    ON other.machine_id = part.machine_id AND other.stop_id = part.stop_id AND other.time_start >= part.stop_started_at
WHERE part.time_start < %(end)s AND coalesce(part.time_end, 'infinity') > %(start)s
ORDER BY 1
