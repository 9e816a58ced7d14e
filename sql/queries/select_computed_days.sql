-- Which of these production days have been computed for which of these machines.
SELECT machine_id, day
FROM unnest(%(machines)s::text[]) AS m (machine_id)
CROSS JOIN unnest(%(days)s::date[], %(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS d (day, starts, ends)
WHERE EXISTS (
        SELECT FROM plan_calendar p WHERE p.machine_id = m.machine_id AND p.starts_at >= starts AND p.starts_at < ends
    )
    OR EXISTS (
        SELECT FROM machine_states s WHERE s.machine_id = m.machine_id AND s.starts_at >= starts AND s.starts_at < ends
    )
ORDER BY machine_id, day
