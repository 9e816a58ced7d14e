-- From when to when anything has been computed; plan and states have rows for every computed instant.
SELECT min(first), max(last)
FROM (
    SELECT min(starts_at) AS first, max(starts_at) AS last FROM plan_calendar
    UNION ALL
    SELECT min(starts_at), max(starts_at) FROM machine_states
) AS span
