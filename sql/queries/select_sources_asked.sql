-- When each source was last asked with success.
SELECT source, min(succeeded_at) AS succeeded_at, max(failed_at) AS failed_at, max(problem) AS problem
FROM sync_state GROUP BY source ORDER BY source
