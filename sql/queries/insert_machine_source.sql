-- How the live views read one machine.
INSERT INTO machine_source (machine_id, machine_name, line, state_source, state_metric, says_how_long, fault_metric,
                            cycle_time_metric, silence_after_s, idle_after_s, most_parts_per_s, timezone, day_boundary)
VALUES (%(machine_id)s, %(machine_name)s, %(line)s, %(state_source)s, %(state_metric)s, %(says_how_long)s,
        %(fault_metric)s, %(cycle_time_metric)s, %(silence_after_s)s, %(idle_after_s)s, %(most_parts_per_s)s,
        %(timezone)s, %(day_boundary)s)
