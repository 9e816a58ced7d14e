-- From when to when anything has been derived of machines.
SELECT machine_id, min(first), max(last)
FROM (
    SELECT machine_id, starts_at AS first, ends_at AS last FROM machine_states WHERE machine_id = ANY(%(machines)s)
    UNION ALL
    SELECT machine_id, time, time FROM production_events WHERE machine_id = ANY(%(machines)s)
) AS derived
GROUP BY machine_id
