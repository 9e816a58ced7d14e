-- Scrap of a machine in [start, end).
SELECT time, machine_id, event_key, part_number, work_order, quantity, scrap_reason, scrap_category, material_cost,
       labor_cost, machine_cost, currency, operator_id, production_date, as_of
FROM scrap_events
WHERE machine_id = %(machine_id)s AND time >= %(start)s AND time < %(end)s
ORDER BY time, event_key
