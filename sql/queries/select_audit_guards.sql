-- What keeps the trail append-only: its trigger, and that the writer may not write there itself.
SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = to_regclass('audit_trail')
               AND tgname = 'audit_trail_append_only' AND tgenabled IN ('O', 'A')) AS refuses_changes,
       has_table_privilege('prodlytics_writer', 'audit_trail', 'INSERT, UPDATE, DELETE, TRUNCATE') AS writer_may,
       (SELECT count(*) FROM pg_trigger WHERE tgname = tgrelid::regclass::text || '_audit' AND tgenabled IN ('O', 'A'))
           AS tables_watched
