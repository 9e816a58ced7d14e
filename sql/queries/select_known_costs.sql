-- Stored costs of parts.
SELECT part_number, since, material_cost_per_unit, currency FROM part_costs WHERE part_number = ANY(%(parts)s)
