-- A backup that is whole; one proven again says when and what came of it.
INSERT INTO backup_log (name, made_at, size_bytes, row_count, sample_count, took_s, proven_at, restore_took_s, problem)
VALUES (%(name)s, %(made_at)s, %(size_bytes)s, %(row_count)s, %(sample_count)s, %(took_s)s, %(proven_at)s,
        %(restore_took_s)s, %(problem)s)
