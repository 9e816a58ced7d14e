-- The whole loss ledger.
SELECT machine_id, starts_at, ends_at, bucket, plan, state, reason_code, stop_id, shift, production_date, time_bucket
FROM machine_time ORDER BY machine_id, starts_at
