-- Backups that are whole, and whether one was restored into a scratch database and counted.
CREATE TABLE backup_log (
    name            text PRIMARY KEY,
    made_at         timestamptz NOT NULL,
    size_bytes      bigint NOT NULL,
    row_count       bigint NOT NULL,
    sample_count    bigint NOT NULL,
    took_s          double precision NOT NULL,
    proven_at       timestamptz,
    restore_took_s  double precision,
    problem         text
);
COMMENT ON COLUMN backup_log.sample_count IS 'Samples in it: those that are not in the archive yet.';
COMMENT ON COLUMN backup_log.problem IS 'What the restore into a scratch database found; NULL: all rows came back.';
