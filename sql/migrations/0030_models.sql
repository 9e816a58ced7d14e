-- Models: what was trained on what, how good it is beside its baseline, and which one is in use.
CREATE TABLE model_file (
    content_hash text PRIMARY KEY CHECK (content_hash ~ '^[0-9a-f]{64}$'),
    content      bytea NOT NULL,
    stored_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE model_registry (
    model_name       text NOT NULL,
    version          integer NOT NULL CHECK (version > 0),
    status           text NOT NULL CHECK (status IN ('champion', 'retired', 'rejected')),
    status_reason    text NOT NULL,
    is_pinned        boolean NOT NULL DEFAULT false,
    algorithm        text NOT NULL,
    trained_from     timestamptz NOT NULL,
    trained_until    timestamptz NOT NULL CHECK (trained_until > trained_from),
    judged_from      timestamptz,
    judged_until     timestamptz,
    row_count        bigint NOT NULL CHECK (row_count >= 0),
    features         text NOT NULL CHECK (jsonb_typeof(features::jsonb) = 'array'),
    feature_version  text NOT NULL,
    score_name       text NOT NULL,
    score            double precision,
    baseline_score   double precision,
    champion_score   double precision,
    metrics          text NOT NULL CHECK (jsonb_typeof(metrics::jsonb) = 'object'),
    data_fingerprint text NOT NULL,
    code_version     text NOT NULL,
    training_trigger text NOT NULL,
    content_hash     text REFERENCES model_file,
    trained_at       timestamptz NOT NULL,
    PRIMARY KEY (model_name, version),
    -- A training that had not enough data has no model; it is on record with what was missing.
    CHECK (content_hash IS NOT NULL OR status = 'rejected')
);
CREATE UNIQUE INDEX model_registry_one_champion ON model_registry (model_name) WHERE status = 'champion';
CREATE UNIQUE INDEX model_registry_one_pinned ON model_registry (model_name) WHERE is_pinned;

-- Who promoted, rolled back, pinned: append-only.
CREATE TABLE model_change (
    change_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model_name text NOT NULL,
    version    integer NOT NULL,
    action     text NOT NULL CHECK (action IN ('promoted', 'rejected', 'rolled_back', 'pinned', 'unpinned')),
    changed_by text NOT NULL,
    why        text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (model_name, version) REFERENCES model_registry
);
CREATE TRIGGER model_change_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON model_change
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
