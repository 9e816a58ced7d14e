-- What people said about a machine in [start, end), with every undo that concerns it, also by way of other undos.
-- Which of them hold is said in one place: kpi/entries.py.
WITH RECURSIVE concerned AS (
    SELECT e.source_key
    FROM operator_entries e
    WHERE e.machine_id = %(machine_id)s
      AND e.kind <> 'undo'
      AND e.starts_at < %(end)s
      AND coalesce(e.ends_at, e.starts_at) >= %(start)s
    UNION
    SELECT u.source_key
    FROM concerned c
    JOIN operator_entries u ON u.kind = 'undo' AND u.undoes = c.source_key
)
SELECT e.source_key, e.machine_id, e.kind, e.starts_at, e.ends_at, e.reason_code, e.quantity, e.reject_quantity,
       e.rework_quantity, e.part_number, e.work_order, e.scrap_category, e.scrap_reason, e.note, e.undoes, e.entered_by,
       e.entered_at, e.source, e.measure, e.figure
FROM concerned c
JOIN operator_entries e USING (source_key)
ORDER BY e.starts_at, e.entered_at, e.source_key
