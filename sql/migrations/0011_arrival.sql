-- What live data touched, before it becomes dirty marks: no key, so that a writer of live data never waits for a
-- computation that has claimed a mark.
CREATE TABLE arrival (
    datasets   text[] NOT NULL,
    machine_id text NOT NULL,
    quarter    timestamptz NOT NULL,
    cause      text NOT NULL
);
