-- Entries of the last seven days of entries, in the columns of the registry.
SELECT source_key, machine_id, kind, starts_at, ends_at, reason_code, quantity, reject_quantity, rework_quantity,
       part_number, work_order, scrap_category, scrap_reason, note, why, undoes, entered_by, entered_at, source,
       old_reason_code, measure, figure
FROM operator_entries
WHERE starts_at > (SELECT max(starts_at) FROM operator_entries) - interval '7 days'
