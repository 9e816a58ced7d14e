-- Stored ideal cycles of parts.
SELECT part_number, machine_id, since, ideal_cycle_time_ms FROM ideal_cycles WHERE part_number = ANY(%(parts)s)
