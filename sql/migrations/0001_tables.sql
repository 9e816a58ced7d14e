-- The product's tables. Plain SQL: what needs the extension is in ../timescale, what readers rely on in ../views.
-- Times are timestamptz (microseconds, stored UTC); spans are half-open [start, end); missing is NULL.
-- Columns ending in _us are integer microseconds; their _min twins are generated, so that minutes always add up.

-- ---- raw: what the machines said -------------------------------------------------------------------------------
CREATE TABLE tag (
    tag_id      integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    machine_id  text NOT NULL,
    metric_name text NOT NULL,
    native_code text NOT NULL DEFAULT '',
    unit        text,
    source      text NOT NULL,
    UNIQUE (machine_id, metric_name, native_code)
);

CREATE TABLE telemetry_sample (
    tag_id           integer NOT NULL,
    time             timestamptz NOT NULL,
    value            double precision,
    value_text       text,
    quality          smallint NOT NULL DEFAULT 192,
    published_lag_us bigint,
    ingested_lag_us  bigint,
    PRIMARY KEY (tag_id, time)
);

CREATE TABLE landed_file (
    name             text NOT NULL,
    content_hash     text NOT NULL,
    version          text NOT NULL,
    dataset          text NOT NULL,
    size_bytes       bigint NOT NULL,
    rows_in          bigint NOT NULL,
    rows_stored      bigint NOT NULL,
    rows_quarantined bigint NOT NULL,
    rows_duplicate   bigint NOT NULL,
    first_time       timestamptz,
    last_time        timestamptz,
    error            text,
    loaded_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, content_hash)
);

CREATE TABLE quarantine (
    quarantine_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dataset       text NOT NULL,
    reason        text NOT NULL,
    detail        text NOT NULL,
    origin        text NOT NULL,
    position      bigint,
    event_time    timestamptz,
    machine_id    text,
    payload       text,
    fingerprint   text NOT NULL UNIQUE,
    quarantined_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON quarantine (dataset, quarantined_at);

-- ---- raw: what people said (append-only) -----------------------------------------------------------------------
CREATE TABLE operator_entries (
    entry_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source_key    text NOT NULL UNIQUE,
    machine_id    text NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('reason', 'scrap', 'production', 'note', 'undo')),
    starts_at     timestamptz NOT NULL,
    ends_at       timestamptz,
    reason_code   text,
    quantity      numeric,
    reject_quantity numeric,
    rework_quantity numeric,
    part_number   text,
    work_order    text,
    scrap_category text,
    scrap_reason  text,
    note          text,
    why           text,
    undoes        text,
    entered_by    text NOT NULL,
    entered_at    timestamptz NOT NULL,
    source        text NOT NULL,
    stored_at     timestamptz NOT NULL DEFAULT now(),
    CHECK (ends_at IS NULL OR ends_at > starts_at OR kind = 'production')
);
CREATE INDEX ON operator_entries (machine_id, starts_at);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: write a correcting row instead', TG_TABLE_NAME USING ERRCODE = '42501';
END $$;
CREATE TRIGGER operator_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON operator_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- ---- other people's systems ------------------------------------------------------------------------------------
CREATE TABLE work_orders (
    work_order             text NOT NULL,
    operation              text NOT NULL DEFAULT '',
    part_number            text,
    part_description       text,
    machine_id             text,
    order_qty              numeric,
    completed_qty          numeric,
    scrap_qty              numeric,
    material_cost_per_unit numeric,
    labor_rate_per_hour    numeric,
    currency               text,
    customer_name          text,
    due_date               date,
    status                 text NOT NULL CHECK (status IN ('open', 'closed', 'cancelled')),
    started_at             timestamptz,
    ended_at               timestamptz,
    source                 text NOT NULL,
    source_modified_at     timestamptz,
    last_synced            timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (work_order, operation)
);
CREATE INDEX ON work_orders (machine_id, started_at);

CREATE TABLE part_costs (
    part_number            text NOT NULL,
    since                  date NOT NULL,
    material_cost_per_unit numeric NOT NULL CHECK (material_cost_per_unit >= 0),
    currency               text NOT NULL,
    source                 text NOT NULL,
    last_synced            timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (part_number, since)
);

-- ---- plant: what plant.yaml says -------------------------------------------------------------------------------
CREATE TABLE machine_config (
    machine_id          text NOT NULL,
    since               date NOT NULL,
    machine_name        text NOT NULL,
    line                text NOT NULL,
    ideal_cycle_time_ms double precision,
    micro_stop_s        double precision NOT NULL,
    silence_after_s     double precision,
    machine_rate_per_h  numeric,
    labor_rate_per_h    numeric,
    currency            text NOT NULL,
    vibration_class     text,
    PRIMARY KEY (machine_id, since)
);

CREATE TABLE plan_calendar (
    machine_id      text NOT NULL,
    starts_at       timestamptz NOT NULL,
    ends_at         timestamptz NOT NULL CHECK (ends_at > starts_at),
    plan            text NOT NULL CHECK (plan IN ('planned', 'break', 'planned_stop', 'not_scheduled')),
    shift           text,
    production_date date NOT NULL,
    source          text NOT NULL,
    PRIMARY KEY (machine_id, starts_at)
);
CREATE INDEX ON plan_calendar (starts_at);

CREATE TABLE reason_codes (
    reason_code     text PRIMARY KEY,
    reason_name     text NOT NULL,
    reason_category text NOT NULL,
    category_name   text NOT NULL,
    loss            text NOT NULL,
    is_equipment    boolean NOT NULL
);

-- ---- floor: derived from raw, replaceable at any time ----------------------------------------------------------
CREATE TABLE production_events (
    time            timestamptz NOT NULL,
    machine_id      text NOT NULL,
    event_type      text NOT NULL CHECK (event_type IN ('cycle_complete', 'reject', 'rework', 'state_change', 'alarm')),
    event_key       text NOT NULL,
    part_number     text,
    work_order      text,
    cycle_time_ms   double precision,
    good_count      numeric NOT NULL DEFAULT 0,
    reject_count    numeric NOT NULL DEFAULT 0,
    rework_count    numeric NOT NULL DEFAULT 0,
    reject_reason   text,
    machine_state   text,
    fault_code      text,
    operator_id     text,
    since           timestamptz,
    flag            text,
    as_of           timestamptz NOT NULL,
    PRIMARY KEY (machine_id, time, event_type, event_key)
);
CREATE INDEX ON production_events (time);

CREATE TABLE machine_states (
    machine_id       text NOT NULL,
    starts_at        timestamptz NOT NULL,
    ends_at          timestamptz NOT NULL CHECK (ends_at > starts_at),
    state            text NOT NULL,
    native_state     text,
    fault_code       text,
    state_started_at timestamptz NOT NULL,
    is_open          boolean NOT NULL,
    as_of            timestamptz NOT NULL,
    duration_us      bigint GENERATED ALWAYS AS
        ((extract(epoch FROM ends_at AT TIME ZONE 'UTC') * 1000000)::bigint
         - (extract(epoch FROM starts_at AT TIME ZONE 'UTC') * 1000000)::bigint) STORED,
    PRIMARY KEY (machine_id, starts_at)
);
CREATE INDEX ON machine_states (starts_at);

CREATE TABLE downtime_events (
    time_start      timestamptz NOT NULL,
    time_end        timestamptz,
    machine_id      text NOT NULL,
    stop_id         text NOT NULL,
    stop_started_at timestamptz NOT NULL,
    stop_ended_at   timestamptz,
    as_of           timestamptz NOT NULL,
    duration_us     bigint GENERATED ALWAYS AS
        ((extract(epoch FROM coalesce(time_end, as_of) AT TIME ZONE 'UTC') * 1000000)::bigint
         - (extract(epoch FROM time_start AT TIME ZONE 'UTC') * 1000000)::bigint) STORED,
    duration_min    double precision GENERATED ALWAYS AS
        (extract(epoch FROM coalesce(time_end, as_of) - time_start) / 60.0) STORED,
    state           text NOT NULL,
    bucket          text NOT NULL CHECK (bucket IN ('failure', 'changeover', 'planned_stop', 'other_stop', 'micro_stop')),
    fault_code      text,
    reason_code     text,
    reason_category text,
    reason_detail   text,
    reason_source   text,
    shift           text,
    production_date date NOT NULL,
    operator_id     text,
    work_order      text,
    notes           text,
    PRIMARY KEY (machine_id, time_start)
);
CREATE INDEX ON downtime_events (time_start);

CREATE TABLE scrap_events (
    time            timestamptz NOT NULL,
    machine_id      text NOT NULL,
    event_key       text NOT NULL,
    part_number     text,
    work_order      text,
    quantity        numeric NOT NULL CHECK (quantity > 0),
    scrap_reason    text,
    scrap_category  text,
    material_cost   numeric,
    labor_cost      numeric,
    machine_cost    numeric,
    currency        text NOT NULL,
    operator_id     text,
    production_date date NOT NULL,
    as_of           timestamptz NOT NULL,
    PRIMARY KEY (machine_id, time, event_key)
);
CREATE INDEX ON scrap_events (time);

-- ---- kpi -------------------------------------------------------------------------------------------------------
CREATE TABLE machine_time (
    machine_id      text NOT NULL,
    starts_at       timestamptz NOT NULL,
    ends_at         timestamptz NOT NULL CHECK (ends_at > starts_at),
    bucket          text NOT NULL CHECK (bucket IN ('running', 'failure', 'changeover', 'planned_stop', 'other_stop',
                                                    'micro_stop', 'break', 'not_scheduled', 'unknown')),
    plan            text NOT NULL,
    state           text NOT NULL,
    reason_code     text,
    stop_id         text,
    shift           text,
    production_date date NOT NULL,
    time_bucket     timestamptz NOT NULL,
    duration_us     bigint GENERATED ALWAYS AS
        ((extract(epoch FROM ends_at AT TIME ZONE 'UTC') * 1000000)::bigint
         - (extract(epoch FROM starts_at AT TIME ZONE 'UTC') * 1000000)::bigint) STORED,
    duration_min    double precision GENERATED ALWAYS AS (extract(epoch FROM ends_at - starts_at) / 60.0) STORED,
    as_of           timestamptz NOT NULL,
    PRIMARY KEY (machine_id, starts_at)
);
CREATE INDEX ON machine_time (starts_at);
CREATE INDEX ON machine_time (production_date);

CREATE TABLE oee_hourly (
    time_bucket        timestamptz NOT NULL,
    machine_id         text NOT NULL,
    production_date    date NOT NULL,
    availability       double precision,
    performance        double precision,
    quality            double precision,
    oee                double precision,
    null_reason        text,
    good_count         numeric NOT NULL,
    reject_count       numeric NOT NULL,
    rework_count       numeric NOT NULL,
    gap_good_count     numeric NOT NULL,
    gap_reject_count   numeric NOT NULL,
    planned_time_us    bigint NOT NULL,
    run_time_us        bigint NOT NULL,
    ideal_time_us      double precision,
    ideal_good_time_us double precision,
    running_us         bigint NOT NULL,
    failure_us         bigint NOT NULL,
    changeover_us      bigint NOT NULL,
    planned_stop_us    bigint NOT NULL,
    other_stop_us      bigint NOT NULL,
    micro_stop_us      bigint NOT NULL,
    break_us           bigint NOT NULL,
    not_scheduled_us   bigint NOT NULL,
    unknown_us         bigint NOT NULL,
    planned_time_min   double precision GENERATED ALWAYS AS (planned_time_us / 60000000.0::double precision) STORED,
    run_time_min       double precision GENERATED ALWAYS AS (run_time_us / 60000000.0::double precision) STORED,
    convention         text NOT NULL,
    as_of              timestamptz NOT NULL,
    revision           integer NOT NULL DEFAULT 1,
    fingerprint        text NOT NULL,
    PRIMARY KEY (machine_id, time_bucket)
);
CREATE INDEX ON oee_hourly (time_bucket);
CREATE INDEX ON oee_hourly (production_date);

CREATE TABLE restatements (
    restatement_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dataset        text NOT NULL,
    machine_id     text NOT NULL,
    time_bucket    timestamptz NOT NULL,
    production_date date NOT NULL,
    column_name    text NOT NULL,
    old_value      double precision,
    new_value      double precision,
    old_revision   integer NOT NULL,
    new_revision   integer NOT NULL,
    cause          text NOT NULL,
    restated_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON restatements (production_date);

-- ---- report and archive ----------------------------------------------------------------------------------------
CREATE TABLE daily_report (
    production_date date PRIMARY KEY,
    plant_oee       double precision,
    summary         jsonb NOT NULL,
    html            text NOT NULL,
    plain_text      text NOT NULL,
    fingerprint     text NOT NULL,
    as_of           timestamptz NOT NULL,
    made_at         timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE archive_manifest (
    dataset         text NOT NULL,
    production_date date NOT NULL,
    version         integer NOT NULL,
    is_current      boolean NOT NULL,
    path            text NOT NULL,
    content_hash    text NOT NULL,
    data_hash       text NOT NULL,
    row_count       bigint NOT NULL,
    size_bytes      bigint NOT NULL,
    first_time      timestamptz,
    last_time       timestamptz,
    schema_json     jsonb NOT NULL,
    code_version    text NOT NULL,
    verified_at     timestamptz NOT NULL,
    archived_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (dataset, production_date, version)
);
CREATE UNIQUE INDEX archive_manifest_one_current ON archive_manifest (dataset, production_date) WHERE is_current;

-- ---- bookkeeping -----------------------------------------------------------------------------------------------
CREATE TABLE dirty_mark (
    dataset    text NOT NULL,
    machine_id text NOT NULL,
    quarter    timestamptz NOT NULL,
    cause      text NOT NULL,
    marked_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (dataset, machine_id, quarter)
);
CREATE INDEX ON dirty_mark (quarter);

CREATE TABLE sync_state (
    source     text PRIMARY KEY,
    cursor     jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
