-- What became of the last pass over each resource of another system: a failure is seen without reading logs.
ALTER TABLE sync_state
    ALTER COLUMN cursor SET DEFAULT '{}',
    ADD COLUMN dataset      text,
    ADD COLUMN succeeded_at timestamptz,
    ADD COLUMN failed_at    timestamptz,
    ADD COLUMN problem      text,
    ADD COLUMN record_count bigint;
COMMENT ON COLUMN sync_state.succeeded_at IS 'When the newest complete pass was stored.';
COMMENT ON COLUMN sync_state.failed_at IS 'When a pass failed since then; NULL after a success.';
COMMENT ON COLUMN sync_state.problem IS 'Why it failed, for people; without secrets.';
COMMENT ON COLUMN sync_state.record_count IS 'Records the newest complete pass was given.';

-- Versions of what another system says end in @2, @3, ...: all of one record are found by what stands before.
CREATE INDEX ON operator_entries (split_part(source_key, '@', 1));
