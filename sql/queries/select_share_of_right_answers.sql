-- How many answers of the model people named later, and the share of them that were right.
SELECT count(*), coalesce(avg((cause = coded_category)::int), 1)::float8
FROM downtime_causes
WHERE stop_started_at >= %(start)s AND stop_started_at < %(end)s AND answered_by = 'model' AND cause <> 'unknown'
  AND NOT in_training AND coded_category IS NOT NULL
