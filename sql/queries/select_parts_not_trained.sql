-- A part with stops in the last day and none before the newest training.
SELECT f.part_number
FROM stop_features f, (SELECT max(trained_at) AS trained_at FROM model_registry) newest
WHERE f.stop_started_at >= %(day_ago)s AND f.stop_started_at < %(now)s AND f.part_number IS NOT NULL
  AND NOT EXISTS (SELECT FROM stop_features b WHERE b.part_number = f.part_number AND b.stop_started_at < newest.trained_at)
  AND newest.trained_at IS NOT NULL
LIMIT 1
