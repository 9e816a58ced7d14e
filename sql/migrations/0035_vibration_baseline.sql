-- How a machine vibrated after its sensor was mounted: captured once, never moved by what came later.
CREATE TABLE vibration_baseline (
    machine_id     text NOT NULL,
    metric_name    text NOT NULL,
    installed_on   date NOT NULL,
    level_mms      double precision NOT NULL CHECK (level_mms >= 0),
    captured_until timestamptz NOT NULL,
    minutes        integer NOT NULL CHECK (minutes > 0),
    PRIMARY KEY (machine_id, metric_name, installed_on)
);
