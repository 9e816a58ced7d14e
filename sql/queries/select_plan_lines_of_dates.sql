-- Every line of the plan of a machine for some production dates.
SELECT starts_at, ends_at, shift, production_date
FROM plan_calendar
WHERE machine_id = %(machine_id)s AND production_date = ANY(%(dates)s)
ORDER BY starts_at
