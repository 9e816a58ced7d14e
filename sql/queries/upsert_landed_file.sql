-- A file that has been loaded, or read again after the plant file changed.
INSERT INTO landed_file (name, content_hash, version, dataset, size_bytes, rows_in, rows_stored, rows_quarantined,
                         rows_duplicate, first_time, last_time, error)
VALUES (%(name)s, %(content_hash)s, %(version)s, %(dataset)s, %(size_bytes)s, %(rows_in)s, %(rows_stored)s,
        %(rows_quarantined)s, %(rows_duplicate)s, %(first_time)s, %(last_time)s, %(error)s)
ON CONFLICT (name, content_hash) DO UPDATE SET
    version = EXCLUDED.version,
    dataset = EXCLUDED.dataset,
    rows_in = EXCLUDED.rows_in,
    rows_stored = EXCLUDED.rows_stored,
    rows_quarantined = EXCLUDED.rows_quarantined,
    rows_duplicate = EXCLUDED.rows_duplicate,
    first_time = EXCLUDED.first_time,
    last_time = EXCLUDED.last_time,
    error = EXCLUDED.error,
    loaded_at = now()
