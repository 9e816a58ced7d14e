-- What people said about a machine that touches [start, end), with every undo that concerns it, also by way of other
-- undos (which of them hold: kpi/entries.py). A reason without an end holds until its stop ends: such are looked for
-- from the beginning of the earliest stop that touches the span.
WITH RECURSIVE concerned AS (
    SELECT e.source_key
    FROM operator_entries e
    WHERE e.machine_id = %(machine_id)s
      AND e.kind <> 'undo'
      AND e.starts_at < %(end)s
      AND (e.starts_at >= %(start)s
           OR e.ends_at > %(start)s
           OR (e.ends_at IS NULL AND e.kind IN ('reason', 'split', 'merge') AND e.starts_at >= %(stopped_since)s))
    UNION
    SELECT u.source_key
    FROM concerned c
    JOIN operator_entries u ON u.kind = 'undo' AND u.undoes = c.source_key
)
SELECT e.source_key, e.kind, e.starts_at, e.ends_at, e.reason_code, e.quantity, e.reject_quantity, e.rework_quantity,
       e.part_number, e.scrap_category, e.scrap_reason, e.note, e.why, e.undoes, e.old_reason_code, e.entered_by,
       e.entered_at, e.source
FROM concerned c
JOIN operator_entries e USING (source_key)
ORDER BY e.starts_at, e.entered_at, e.source_key
