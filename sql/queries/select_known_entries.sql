-- Entries whose key is stored already, to tell a repetition from a change.
SELECT source_key, machine_id, kind, starts_at, ends_at, reason_code, quantity, reject_quantity, rework_quantity,
       part_number, work_order, scrap_category, scrap_reason, note, why, undoes, entered_by, entered_at, measure,
       figure, source
FROM operator_entries
WHERE source_key = ANY(%(keys)s)
