-- The plan of a machine that touches [start, end).
SELECT machine_id, starts_at, ends_at, plan, shift, production_date, source
FROM plan_calendar
WHERE machine_id = %(machine_id)s AND starts_at < %(end)s AND ends_at > %(start)s
ORDER BY starts_at
