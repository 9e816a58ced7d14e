-- Which settings of the plant file stored figures were computed with. A new version is noticed by the first run that
-- has it; the days it reaches are marked in the same transaction. Append-only: the newest version is the one in force.
CREATE TABLE plant_settings (
    version     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fingerprint text NOT NULL,
    settings    jsonb NOT NULL,
    first_day   date,
    last_day    date,
    marked      bigint NOT NULL DEFAULT 0,
    noticed_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN plant_settings.first_day IS 'First computed production day that this version changes; NULL: none.';
COMMENT ON COLUMN plant_settings.last_day IS 'Last computed production day that this version changes.';
COMMENT ON COLUMN plant_settings.marked IS 'How many days of a machine and dataset have to be computed again.';

-- What a version says otherwise than the one before, setting by setting. Who wrote it a file does not know.
CREATE TABLE settings_change (
    version    bigint NOT NULL REFERENCES plant_settings,
    position   integer NOT NULL,
    setting    text NOT NULL,
    old_value  text,
    new_value  text,
    noticed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (version, position)
);
