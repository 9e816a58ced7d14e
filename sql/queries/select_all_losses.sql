-- Every loss, for the summary of the demo.
SELECT loss, reason_code, loss_us, occurrences, material_cost, labor_cost, machine_cost, cost FROM losses
ORDER BY machine_id, production_date, shift, part_number, loss, reason_code
