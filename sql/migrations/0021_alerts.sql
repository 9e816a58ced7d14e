-- What is wrong now and was wrong before, what became of it, and who was told. One row of `alerts` per cause and life.
CREATE TABLE alerts (
    alert_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_key       text NOT NULL,
    rule            text NOT NULL,
    side            text NOT NULL CHECK (side IN ('plant', 'platform')),
    subject         text NOT NULL,
    machine_id      text,
    line            text,
    severity        text NOT NULL CHECK (severity IN ('warning', 'critical')),
    level           integer NOT NULL CHECK (level >= 0),
    state           text NOT NULL CHECK (state IN ('open', 'acknowledged', 'resolved')),
    title           text NOT NULL,
    message         text NOT NULL,
    evidence        jsonb NOT NULL DEFAULT '[]',
    value           double precision,
    limit_value     double precision,
    unit            text,
    since           timestamptz NOT NULL,
    opened_at       timestamptz NOT NULL,
    acknowledged_at timestamptz,
    acknowledged_by text,
    resolved_at     timestamptz,
    resolution      text,
    clear_since     timestamptz,
    CHECK ((state = 'resolved') = (resolved_at IS NOT NULL)),
    CHECK (state <> 'acknowledged' OR acknowledged_at IS NOT NULL)
);
-- An unchanged cause is one alert.
CREATE UNIQUE INDEX alerts_one_open ON alerts (alert_key) WHERE state <> 'resolved';
CREATE INDEX ON alerts (opened_at);
COMMENT ON TABLE alerts IS 'Alerts and their state; alert_history says how each got there.';
COMMENT ON COLUMN alerts.alert_key IS 'Rule and subject: what makes two findings the same alert.';
COMMENT ON COLUMN alerts.subject IS 'What it is about: a machine, an asset, a check, a job, a service.';
COMMENT ON COLUMN alerts.level IS 'Which of the rule''s limits was passed, from 0.';
COMMENT ON COLUMN alerts.since IS 'Since when the condition holds, in event time where the data says it.';
COMMENT ON COLUMN alerts.clear_since IS 'Since when it holds no more; resolved after the rule''s clear_min.';

-- A condition that does not last long enough yet to be an alert.
CREATE TABLE alert_watch (
    alert_key text PRIMARY KEY,
    rule      text NOT NULL,
    since     timestamptz NOT NULL
);

CREATE TABLE alert_history (
    history_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id    bigint NOT NULL REFERENCES alerts,
    happened_at timestamptz NOT NULL,
    what        text NOT NULL CHECK (what IN ('opened', 'raised', 'lowered', 'escalated', 'acknowledged', 'resolved', 'told', 'not_told')),
    detail      text NOT NULL,
    by_whom     text
);
CREATE INDEX ON alert_history (alert_id);

-- Silences people asked for: an alert opens and is recorded, nobody is told.
CREATE TABLE alert_silence (
    silence_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule        text,
    machine_id  text,
    until       timestamptz NOT NULL,
    why         text NOT NULL,
    by_whom     text NOT NULL,
    made_at     timestamptz NOT NULL DEFAULT now()
);

-- Who has to be told what: written together with the change, sent afterwards, so that nothing is lost in between.
CREATE TABLE alert_message (
    message_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id   bigint NOT NULL REFERENCES alerts,
    kind       text NOT NULL CHECK (kind IN ('opened', 'raised', 'escalated', 'resolved')),
    step       integer NOT NULL,
    channel    text NOT NULL,
    address    text NOT NULL,
    role       text NOT NULL,
    state      text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'dropped')),
    due_at     timestamptz NOT NULL,
    batch      uuid,
    attempts   integer NOT NULL DEFAULT 0,
    retry_at   timestamptz,
    sent_at    timestamptz,
    problem    text,
    UNIQUE (alert_id, kind, step, channel, address)
);
CREATE INDEX ON alert_message (due_at) WHERE state = 'waiting';
COMMENT ON COLUMN alert_message.address IS 'E-mail address or telephone number; the channel''s own name where it has no persons.';
COMMENT ON COLUMN alert_message.batch IS 'The message it goes out with; the same at every attempt, so that a receiver can tell a repetition.';

-- From when on the platform is watched: what failed before is history.
CREATE TABLE alert_start (
    what       text PRIMARY KEY,
    started_at timestamptz NOT NULL
);
