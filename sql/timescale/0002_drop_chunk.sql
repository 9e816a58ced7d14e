-- Dropping a chunk is the owner's right. The writer may do it through this function alone, one chunk at a time; whether
-- it may go is decided before, in the same transaction (prodlytics.archive.retention).
CREATE OR REPLACE FUNCTION drop_telemetry_chunk(first timestamptz, last timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    dropped integer;
BEGIN
    SELECT count(*) INTO dropped
    FROM drop_chunks('public.telemetry_sample'::regclass, older_than => last, newer_than => first);
    RETURN dropped;
END $$;
REVOKE ALL ON FUNCTION drop_telemetry_chunk(timestamptz, timestamptz) FROM PUBLIC;
