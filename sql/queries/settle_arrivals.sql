-- Arrivals become marks; a quarter hour that waits already keeps its cause and gets the new one too.
WITH settled AS (DELETE FROM arrival RETURNING datasets, machine_id, quarter, cause)
INSERT INTO dirty_mark (dataset, machine_id, quarter, cause)
SELECT dataset, machine_id, quarter, max(cause)
FROM settled, unnest(datasets) AS dataset
GROUP BY dataset, machine_id, quarter
ORDER BY dataset, machine_id, quarter
ON CONFLICT (dataset, machine_id, quarter) DO UPDATE
SET marked_at = now(),
    cause = CASE
        WHEN strpos(dirty_mark.cause, EXCLUDED.cause) > 0 THEN dirty_mark.cause
        ELSE left(dirty_mark.cause || '; ' || EXCLUDED.cause, 600)
    END
