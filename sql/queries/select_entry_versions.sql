-- Everything stored of records another system may have changed: by the key of the first version, or all that begin at or
-- after a moment, which the system was asked for and may no longer have.
SELECT source_key, machine_id, kind, starts_at, ends_at, reason_code, quantity, reject_quantity, rework_quantity,
       part_number, work_order, scrap_category, scrap_reason, note, why, undoes, entered_by, entered_at, measure,
       figure, source
FROM operator_entries
WHERE split_part(source_key, '@', 1) = ANY(%(keys)s)
   OR (starts_with(source_key, %(prefix)s) AND starts_at >= coalesce(%(since)s::timestamptz, 'infinity'))
