-- The spans of entries that undos take back or give back, followed through undos of undos: they have to be derived anew.
WITH RECURSIVE meant AS (
    SELECT source_key, kind, machine_id, starts_at, ends_at, undoes
    FROM operator_entries WHERE source_key = ANY(%(keys)s)
    UNION
    SELECT e.source_key, e.kind, e.machine_id, e.starts_at, e.ends_at, e.undoes
    FROM meant m
    JOIN operator_entries e ON m.kind = 'undo' AND e.source_key = m.undoes
)
SELECT kind, machine_id, starts_at, ends_at FROM meant WHERE kind <> 'undo'
