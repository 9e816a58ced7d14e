-- Samples are the only hypertable: a million ledger rows a year are a plain table.
CREATE EXTENSION IF NOT EXISTS timescaledb;
SELECT create_hypertable('telemetry_sample', 'time', chunk_time_interval => interval '1 day',
                         create_default_indexes => false, migrate_data => true, if_not_exists => true);
