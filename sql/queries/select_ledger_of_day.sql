-- The loss ledger of a production date.
SELECT machine_id, starts_at, ends_at, bucket, plan, state, reason_code, stop_id, shift, production_date, time_bucket,
       as_of
FROM machine_time WHERE production_date = %(date)s ORDER BY machine_id, starts_at
