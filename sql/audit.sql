-- Which tables leave a trace in audit_trail. Applied with every migration, so that a table a later version makes is
-- watched from its first day. The trigger writes with its owner's rights: nobody else may write to the trail, and a
-- session cannot write there what did not happen.
CREATE OR REPLACE FUNCTION record_audit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    was jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
    now_is jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
    -- What only says when a row was written is no change.
    bookkeeping text[] := ARRAY['last_synced', 'as_of', 'updated_at'];
    key text;
BEGIN
    IF TG_OP = 'UPDATE' AND was - bookkeeping = now_is - bookkeeping THEN
        RETURN NULL;
    END IF;
    SELECT string_agg(coalesce(coalesce(now_is, was) ->> a.attname, ''), ' ' ORDER BY array_position(i.indkey, a.attnum))
    INTO key
    FROM pg_index i
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
    WHERE i.indrelid = TG_RELID AND i.indisprimary;
    INSERT INTO public.audit_trail (actor, database_user, action, subject, subject_key, old_row, new_row)
    VALUES (coalesce(nullif(now_is ->> 'entered_by', ''), nullif(current_setting('prodlytics.actor', true), ''),
                     session_user),
            session_user, lower(TG_OP), TG_TABLE_NAME, coalesce(key, ''), was, now_is);
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION record_audit() FROM PUBLIC;

DO $$
DECLARE
    watched text;
BEGIN
    FOREACH watched IN ARRAY ARRAY['operator_entries', 'settings_change', 'reason_codes', 'machine_config', 'part_costs',
                                   'ideal_cycles', 'model_registry', 'hot_data', 'restored_day', 'backup_log']
    LOOP
        IF EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('public.' || watched) AND relkind = 'r')
           AND NOT EXISTS (SELECT FROM pg_trigger
                           WHERE tgrelid = to_regclass('public.' || watched) AND tgname = watched || '_audit')
        THEN
            EXECUTE format('CREATE TRIGGER %I AFTER INSERT OR UPDATE OR DELETE ON public.%I FOR EACH ROW'
                           ' EXECUTE FUNCTION record_audit()', watched || '_audit', watched);
        END IF;
    END LOOP;
END $$;
