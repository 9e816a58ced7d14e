-- Quarter hours to be computed again. One that waits already keeps its cause and gets the new one too.
INSERT INTO dirty_mark (dataset, machine_id, quarter, cause)
SELECT %(dataset)s, machine_id, quarter, cause
FROM unnest(%(machines)s::text[], %(quarters)s::timestamptz[], %(causes)s::text[]) AS new (machine_id, quarter, cause)
ON CONFLICT (dataset, machine_id, quarter) DO UPDATE
SET marked_at = now(),
    cause = CASE
        WHEN strpos(dirty_mark.cause, EXCLUDED.cause) > 0 THEN dirty_mark.cause
        ELSE left(dirty_mark.cause || '; ' || EXCLUDED.cause, 600)
    END
