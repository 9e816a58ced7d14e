-- What other systems say of ideal cycles, and since when.
SELECT part_number, machine_id, since, ideal_cycle_time_ms, source
FROM ideal_cycles
ORDER BY part_number, machine_id, since
