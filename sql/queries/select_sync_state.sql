-- How the last passes over a dataset's sources went; what is not set up concerns every dataset.
SELECT source, succeeded_at, failed_at, problem
FROM sync_state
WHERE dataset = %(dataset)s OR dataset IS NULL
ORDER BY source
