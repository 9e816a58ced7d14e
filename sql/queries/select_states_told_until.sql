-- How far the states of each of these machines are told, the least of them; NULL where none has any.
SELECT min(newest.ends_at)
FROM unnest(%(machines)s::text[]) AS m (machine_id)
CROSS JOIN LATERAL (
    SELECT s.ends_at FROM machine_states s WHERE s.machine_id = m.machine_id ORDER BY s.starts_at DESC LIMIT 1
) newest
