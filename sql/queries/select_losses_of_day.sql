-- Losses of a production date.
SELECT machine_id, production_date, shift, part_number, loss, reason_code, loss_us, occurrences, cost, cost_reason,
       material_cost, labor_cost, machine_cost, currency, flag
FROM losses WHERE production_date = %(date)s
ORDER BY machine_id, shift, part_number, loss, reason_code
