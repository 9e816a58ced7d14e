-- Closed hours that came out differently get a new revision.
UPDATE oee_hourly o
SET revision = o.revision + 1
FROM unnest(%(machines)s::text[], %(buckets)s::timestamptz[]) AS hour (machine_id, time_bucket)
WHERE o.machine_id = hour.machine_id AND o.time_bucket = hour.time_bucket
