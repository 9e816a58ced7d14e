-- From when to when the states of machines have been derived.
SELECT machine_id, min(starts_at), max(ends_at)
FROM machine_states
WHERE machine_id = ANY(%(machines)s)
GROUP BY machine_id
