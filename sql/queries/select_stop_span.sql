-- [start, end) of a machine widened to the stops that reach across its edges: from the end of the last running or
-- unknown state before it to the start of the first one after it.
SELECT
    least(
        coalesce(
            (SELECT s.ends_at FROM machine_states s
             WHERE s.machine_id = %(machine_id)s AND s.starts_at < %(start)s AND s.state IN ('running', 'unknown')
             ORDER BY s.starts_at DESC LIMIT 1),
            (SELECT min(s.starts_at) FROM machine_states s WHERE s.machine_id = %(machine_id)s),
            %(start)s),
        %(start)s) AS starts_at,
    greatest(
        coalesce(
            (SELECT s.starts_at FROM machine_states s
             WHERE s.machine_id = %(machine_id)s AND s.starts_at >= %(end)s AND s.state IN ('running', 'unknown')
             ORDER BY s.starts_at LIMIT 1),
            (SELECT max(s.ends_at) FROM machine_states s WHERE s.machine_id = %(machine_id)s),
            %(end)s),
        %(end)s) AS ends_at
