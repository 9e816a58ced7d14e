-- What a person said, with what the stop said until then: the first part of a stop that it (or what it undoes) overlaps.
INSERT INTO operator_entries (source_key, machine_id, kind, starts_at, ends_at, reason_code, quantity, reject_quantity,
                              rework_quantity, part_number, work_order, scrap_category, scrap_reason, note, why,
                              undoes, entered_by, entered_at, measure, figure, source,
                              old_reason_code)
VALUES (%(source_key)s, %(machine_id)s, %(kind)s, %(starts_at)s, %(ends_at)s, %(reason_code)s, %(quantity)s,
        %(reject_quantity)s, %(rework_quantity)s, %(part_number)s, %(work_order)s, %(scrap_category)s,
        %(scrap_reason)s, %(note)s, %(why)s, %(undoes)s, %(entered_by)s, %(entered_at)s, %(measure)s, %(figure)s,
        %(source)s,
        (SELECT d.reason_code
         FROM (SELECT %(machine_id)s::text AS machine_id, %(starts_at)s::timestamptz AS starts_at,
                      %(ends_at)s::timestamptz AS ends_at
               WHERE %(kind)s IN ('reason', 'split', 'merge')
               UNION ALL
               SELECT e.machine_id, e.starts_at, e.ends_at FROM operator_entries e
               WHERE %(kind)s = 'undo' AND e.source_key = %(undoes)s AND e.kind IN ('reason', 'split', 'merge')) AS meant
         JOIN downtime_events d
             ON d.machine_id = meant.machine_id
             AND d.time_start < coalesce(meant.ends_at, meant.starts_at + interval '1 microsecond')
             AND coalesce(d.time_end, 'infinity') > meant.starts_at
         ORDER BY d.time_start LIMIT 1))
