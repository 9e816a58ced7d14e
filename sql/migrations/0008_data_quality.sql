-- How good the data behind the numbers is, per machine, production day and shift; '' outside any shift.
CREATE TABLE data_quality (
    machine_id          text NOT NULL,
    production_date     date NOT NULL,
    shift               text NOT NULL,
    starts_at           timestamptz NOT NULL,
    ends_at             timestamptz NOT NULL CHECK (ends_at > starts_at),
    supervisor          text,
    stop_time_us        bigint NOT NULL,
    uncoded_time_us     bigint NOT NULL,
    other_time_us       bigint NOT NULL,
    uncoded_share       double precision,
    other_share         double precision,
    stop_count          bigint NOT NULL,
    coded_count         bigint NOT NULL,
    coded_in_time_count bigint NOT NULL,
    compliance          double precision,
    delay_median_s      double precision,
    delay_p90_s         double precision,
    short_stop_count    bigint NOT NULL,
    running_us          bigint NOT NULL,
    performance         double precision,
    ideal_cycle_suspect boolean,
    plan_time_us        bigint NOT NULL,
    known_time_us       bigint NOT NULL,
    state_coverage      double precision,
    heard_time_us       bigint,
    feed_coverage       double precision,
    longest_silence_s   double precision,
    null_reason         text,
    as_of               timestamptz NOT NULL,
    stop_time_min       double precision GENERATED ALWAYS AS (stop_time_us / 60000000.0::double precision) STORED,
    uncoded_time_min    double precision GENERATED ALWAYS AS (uncoded_time_us / 60000000.0::double precision) STORED,
    other_time_min      double precision GENERATED ALWAYS AS (other_time_us / 60000000.0::double precision) STORED,
    PRIMARY KEY (machine_id, production_date, shift)
);
CREATE INDEX ON data_quality (production_date);
CREATE INDEX ON data_quality (starts_at);

ALTER TABLE reason_codes ADD COLUMN is_other boolean NOT NULL DEFAULT false;
