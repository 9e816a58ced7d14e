-- Costs in the columns of the registry.
SELECT part_number, since, material_cost_per_unit, currency, source FROM part_costs
