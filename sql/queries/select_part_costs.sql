-- Material costs with the day from which each holds.
SELECT part_number, since, material_cost_per_unit, currency, source FROM part_costs ORDER BY part_number, since
