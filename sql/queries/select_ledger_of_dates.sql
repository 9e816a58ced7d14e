-- The loss ledger of a machine on some production dates.
SELECT machine_id, starts_at, ends_at, bucket, plan, state, reason_code, stop_id, shift, production_date, time_bucket,
       as_of
FROM machine_time
WHERE machine_id = %(machine_id)s AND production_date = ANY(%(dates)s)
ORDER BY starts_at
