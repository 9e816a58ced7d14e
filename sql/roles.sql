-- Least privilege. Logins are made by the installer and put into one of these groups; neither can log in itself.
--   prodlytics_writer  runs assets, bridge and operator page: no DDL, and what people said can only be added to
--   prodlytics_reader  Grafana, Power BI, people with a SQL client: reads
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'prodlytics_writer') THEN
        CREATE ROLE prodlytics_writer NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'prodlytics_reader') THEN
        CREATE ROLE prodlytics_reader NOLOGIN;
    END IF;
EXCEPTION
    -- Roles belong to the whole server: another database of it may be migrated at the same moment.
    WHEN duplicate_object OR unique_violation THEN NULL;
END $$;

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO prodlytics_writer, prodlytics_reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO prodlytics_writer;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO prodlytics_writer;
REVOKE UPDATE, DELETE, TRUNCATE ON operator_entries, restatements, plant_settings, settings_change,
    model_change, model_file, alert_history FROM prodlytics_writer;
REVOKE INSERT, UPDATE, DELETE ON schema_migration FROM prodlytics_writer;
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON audit_trail FROM prodlytics_writer;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO prodlytics_reader;
DO $$
BEGIN
    IF to_regprocedure('drop_telemetry_chunk(timestamptz, timestamptz)') IS NOT NULL THEN
        GRANT EXECUTE ON FUNCTION drop_telemetry_chunk(timestamptz, timestamptz) TO prodlytics_writer;
    END IF;
END $$;
