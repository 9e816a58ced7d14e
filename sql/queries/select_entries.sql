-- What people said about a machine in [start, end), without what was taken back.
SELECT e.source_key, e.machine_id, e.kind, e.starts_at, e.ends_at, e.reason_code, e.quantity, e.reject_quantity,
       e.rework_quantity, e.part_number, e.work_order, e.scrap_category, e.scrap_reason, e.note, e.entered_by,
       e.entered_at
FROM operator_entries e
WHERE e.machine_id = %(machine_id)s
  AND e.kind <> 'undo'
  AND e.starts_at < %(end)s
  AND coalesce(e.ends_at, e.starts_at) >= %(start)s
  AND NOT EXISTS (SELECT FROM operator_entries u WHERE u.kind = 'undo' AND u.undoes = e.source_key)
ORDER BY e.starts_at, e.entered_at, e.source_key
