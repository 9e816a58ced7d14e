-- Where planned time went, in time and money, at the finest grain that has a meaning: every Pareto is a sum of it. '' in
-- the key: outside any shift, nobody said what was made, nobody said why.
CREATE TABLE losses (
    machine_id      text NOT NULL,
    production_date date NOT NULL,
    shift           text NOT NULL,
    part_number     text NOT NULL,
    loss            text NOT NULL CHECK (loss IN ('unplanned_stop', 'changeover', 'micro_stop', 'reduced_speed',
                                                  'defects', 'startup', 'planned_stop', 'unknown', 'no_ideal_cycle')),
    reason_code     text NOT NULL,
    starts_at       timestamptz NOT NULL,
    ends_at         timestamptz NOT NULL CHECK (ends_at > starts_at),
    loss_us         double precision NOT NULL,
    loss_min        double precision GENERATED ALWAYS AS (loss_us / 60000000.0::double precision) STORED,
    occurrences     numeric,
    cost            numeric,
    cost_reason     text,
    material_cost   numeric,
    labor_cost      numeric,
    machine_cost    numeric,
    currency        text NOT NULL,
    flag            text,
    as_of           timestamptz NOT NULL,
    revision        integer NOT NULL DEFAULT 1,
    fingerprint     text NOT NULL,
    PRIMARY KEY (machine_id, production_date, shift, part_number, loss, reason_code)
);
CREATE INDEX ON losses (production_date);
CREATE INDEX ON losses (starts_at);
