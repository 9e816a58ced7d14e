-- A day that is back in the hot tables, and until when retention leaves it there.
INSERT INTO restored_day (dataset, production_date, starts_at, ends_at, content_hash, row_count, rows_added, keep_until)
VALUES (%(dataset)s, %(date)s, %(start)s, %(end)s, %(content_hash)s, %(rows)s, %(added)s, %(keep_until)s)
ON CONFLICT (dataset, production_date) DO UPDATE
SET content_hash = EXCLUDED.content_hash, row_count = EXCLUDED.row_count, rows_added = EXCLUDED.rows_added,
    restored_at = now(), keep_until = greatest(restored_day.keep_until, EXCLUDED.keep_until)
