-- Scrap of a production date.
SELECT time, machine_id, event_key, part_number, work_order, quantity, scrap_reason, scrap_category, material_cost,
       labor_cost, machine_cost, currency, operator_id, production_date, as_of
FROM scrap_events WHERE production_date = %(date)s ORDER BY machine_id, time, event_key
