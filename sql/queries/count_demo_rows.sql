-- How much there is of everything.
SELECT 'telemetry rows', count(*) FROM telemetry_sample
UNION ALL SELECT 'production events', count(*) FROM production_events
UNION ALL SELECT 'states', count(*) FROM machine_states
UNION ALL SELECT 'stops', count(DISTINCT stop_id) FROM downtime_events
UNION ALL SELECT 'operator entries', count(*) FROM operator_entries
UNION ALL SELECT 'ledger rows', count(*) FROM machine_time
UNION ALL SELECT 'hours of OEE', count(*) FROM oee_hourly
UNION ALL SELECT 'restated figures', count(*) FROM restatements
UNION ALL SELECT 'quarantined rows', count(*) FROM quarantine
UNION ALL SELECT 'archived files', count(*) FROM archive_manifest WHERE is_current
