-- What a person said.
INSERT INTO operator_entries (source_key, machine_id, kind, starts_at, ends_at, reason_code, quantity, reject_quantity,
                              rework_quantity, part_number, work_order, scrap_category, scrap_reason, note, why,
                              undoes, entered_by, entered_at, source)
VALUES (%(source_key)s, %(machine_id)s, %(kind)s, %(starts_at)s, %(ends_at)s, %(reason_code)s, %(quantity)s,
        %(reject_quantity)s, %(rework_quantity)s, %(part_number)s, %(work_order)s, %(scrap_category)s,
        %(scrap_reason)s, %(note)s, %(why)s, %(undoes)s, %(entered_by)s, %(entered_at)s, %(source)s)
