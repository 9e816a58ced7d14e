-- What the live views have to know of the plant file: which tags tell a machine's state and count its parts, and what
-- the controller's words mean. Written by the bridge when it connects and by machine_config; nobody else writes here.
CREATE TABLE machine_source (
    machine_id        text PRIMARY KEY,
    machine_name      text NOT NULL,
    line              text NOT NULL,
    state_source      text NOT NULL CHECK (state_source IN ('telemetry', 'counts', 'operator')),
    state_metric      text NOT NULL,
    says_how_long     boolean NOT NULL,
    fault_metric      text,
    cycle_time_metric text,
    silence_after_s   double precision,
    idle_after_s      double precision,
    most_parts_per_s  double precision,
    timezone          text NOT NULL,
    day_boundary      time NOT NULL
);
COMMENT ON COLUMN machine_source.says_how_long IS 'The source reports "so long in this state" afterwards: its silence says nothing.';
COMMENT ON COLUMN machine_source.idle_after_s IS 'Without a count for so long a machine that only counts is idle.';
COMMENT ON COLUMN machine_source.most_parts_per_s IS 'What a counter can plausibly show; NULL: nobody said.';

CREATE TABLE machine_state_map (
    machine_id   text NOT NULL REFERENCES machine_source ON DELETE CASCADE,
    native_state text NOT NULL,
    state        text NOT NULL,
    PRIMARY KEY (machine_id, native_state)
);

CREATE TABLE machine_counter (
    machine_id  text NOT NULL REFERENCES machine_source ON DELETE CASCADE,
    metric_name text NOT NULL,
    counts      text NOT NULL CHECK (counts IN ('good', 'reject', 'rework', 'total', 'cycles')),
    kind        text NOT NULL CHECK (kind IN ('cumulative', 'increment')),
    PRIMARY KEY (machine_id, metric_name)
);
