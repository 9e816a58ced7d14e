-- What each sensor delivered in a production day against what it usually does.
CREATE TABLE sensor_delivery (
    machine_id          text NOT NULL,
    production_date     date NOT NULL,
    metric_name         text NOT NULL,
    native_code         text NOT NULL,
    starts_at           timestamptz NOT NULL,
    ends_at             timestamptz NOT NULL CHECK (ends_at > starts_at),
    sample_count        bigint NOT NULL,
    missing_count       bigint,
    delivery            double precision,
    running_interval_s  double precision,
    standing_interval_s double precision,
    running_regular     double precision,
    standing_regular    double precision,
    longest_gap_s       double precision NOT NULL,
    null_reason         text,
    as_of               timestamptz NOT NULL,
    PRIMARY KEY (machine_id, production_date, metric_name, native_code)
);
CREATE INDEX ON sensor_delivery (production_date);
