-- One changed figure of one closed period; the revision in the table is the new one already.
INSERT INTO restatements (dataset, level, machine_id, period, time_bucket, shift, production_date, column_name,
                          old_value, new_value, old_revision, new_revision, cause)
VALUES (%(dataset)s, %(level)s, %(member)s, %(period)s, %(starts_at)s, %(shift)s, %(production_date)s, %(column_name)s,
        %(old_value)s, %(new_value)s, %(new_revision)s::integer - 1, %(new_revision)s, %(cause)s)
