-- Who changed what and when: reasons, what the plant file says (calendar, thresholds, machines), overrides, promotions
-- of models, and what was dropped and restored. Written by triggers alone; nobody changes or deletes a row.
CREATE TABLE audit_trail (
    audit_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor         text NOT NULL,
    database_user text NOT NULL,
    action        text NOT NULL CHECK (action IN ('insert', 'update', 'delete')),
    subject       text NOT NULL,
    subject_key   text NOT NULL,
    old_row       jsonb,
    new_row       jsonb
);
CREATE INDEX ON audit_trail (at);
CREATE INDEX ON audit_trail (subject, subject_key);
COMMENT ON COLUMN audit_trail.actor IS 'The person the row names (entered_by), else what the session says of itself (prodlytics.actor), else the login.';

CREATE TRIGGER audit_trail_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_trail
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
