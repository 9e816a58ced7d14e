-- A pass over a resource of another system failed; the cursor stays.
INSERT INTO sync_state (source, dataset, failed_at, problem)
VALUES (%(source)s, %(dataset)s, %(now)s, %(problem)s)
ON CONFLICT (source) DO UPDATE SET
    dataset = EXCLUDED.dataset,
    failed_at = coalesce(sync_state.failed_at, EXCLUDED.failed_at),
    problem = EXCLUDED.problem,
    updated_at = now()
