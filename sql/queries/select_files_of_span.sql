-- Landed files of telemetry whose rows reach into [start, end), of whatever machines.
SELECT name, rows_stored, first_time, last_time, loaded_at
FROM landed_file
WHERE dataset = 'machine_telemetry' AND rows_stored > 0 AND first_time < %(end)s AND last_time >= %(start)s
ORDER BY loaded_at, name
