-- How long a part takes on a machine at best, from a day on.
INSERT INTO ideal_cycles (part_number, machine_id, since, ideal_cycle_time_ms, source)
VALUES (%(part_number)s, %(machine_id)s, %(since)s, %(ideal_cycle_time_ms)s, %(source)s)
ON CONFLICT (part_number, machine_id, since) DO UPDATE SET
    ideal_cycle_time_ms = EXCLUDED.ideal_cycle_time_ms,
    source = EXCLUDED.source,
    last_synced = now()
