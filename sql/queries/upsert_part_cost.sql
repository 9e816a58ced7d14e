-- What a part's material costs from a day on.
INSERT INTO part_costs (part_number, since, material_cost_per_unit, currency, source)
VALUES (%(part_number)s, %(since)s, %(material_cost_per_unit)s, %(currency)s, %(source)s)
ON CONFLICT (part_number, since) DO UPDATE SET
    material_cost_per_unit = EXCLUDED.material_cost_per_unit,
    currency = EXCLUDED.currency,
    source = EXCLUDED.source,
    last_synced = now()
