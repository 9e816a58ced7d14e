-- Elements per machine, shift and part: what every roll-up above the hour starts from. '' in the key: outside any
-- shift, nobody said what was made.
CREATE TABLE oee_shift (
    machine_id         text NOT NULL,
    production_date    date NOT NULL,
    shift              text NOT NULL,
    part_number        text NOT NULL,
    starts_at          timestamptz NOT NULL,
    ends_at            timestamptz NOT NULL CHECK (ends_at > starts_at),
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
    PRIMARY KEY (machine_id, production_date, shift, part_number)
);
CREATE INDEX ON oee_shift (production_date);
CREATE INDEX ON oee_shift (starts_at);

-- A restated figure may stand for more than an hour of one machine: then machine_id names the member of the level (a
-- line, the plant, a part), and time_bucket is where the period begins.
ALTER TABLE restatements
    ADD COLUMN level  text NOT NULL DEFAULT 'machine',
    ADD COLUMN period text NOT NULL DEFAULT 'hour',
    ADD COLUMN shift  text;
