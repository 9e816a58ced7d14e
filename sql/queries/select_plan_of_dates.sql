-- The calendar of some production dates, which all lie in [start, end).
SELECT machine_id, production_date, shift, min(starts_at) AS starts_at, max(ends_at) AS ends_at
FROM plan_calendar
WHERE production_date = ANY(%(dates)s) AND starts_at >= %(start)s AND starts_at < %(end)s
GROUP BY machine_id, production_date, shift
ORDER BY machine_id, production_date, starts_at
