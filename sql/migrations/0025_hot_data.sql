-- From when on each dataset is whole in the hot tables; older days are only in the archive. No row: nothing was dropped.
CREATE TABLE hot_data (
    dataset    text PRIMARY KEY,
    hot_since  timestamptz NOT NULL,
    dropped_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN hot_data.hot_since IS 'Start of the first production day of which nothing was dropped.';

-- Production days that were brought back from the archive, and until when retention leaves them there.
CREATE TABLE restored_day (
    dataset         text NOT NULL,
    production_date date NOT NULL,
    starts_at       timestamptz NOT NULL,
    ends_at         timestamptz NOT NULL CHECK (ends_at > starts_at),
    content_hash    text NOT NULL,
    row_count       bigint NOT NULL,
    rows_added      bigint NOT NULL,
    restored_at     timestamptz NOT NULL DEFAULT now(),
    keep_until      timestamptz NOT NULL,
    PRIMARY KEY (dataset, production_date)
);

-- Whether all of [first, last) can be read from the hot tables: never dropped, or restored.
CREATE FUNCTION is_hot(inputs text[], first timestamptz, last timestamptz) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT NOT EXISTS (
        SELECT FROM hot_data h
        WHERE h.dataset = ANY(inputs) AND h.hot_since > first
          AND NOT coalesce((SELECT range_agg(tstzrange(r.starts_at, r.ends_at)) FROM restored_day r
                            WHERE r.dataset = h.dataset)
                           @> tstzrange(first, least(last, h.hot_since)), false))
$$;
