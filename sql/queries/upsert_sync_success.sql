-- A pass over a resource of another system, or an answer of an agent, was stored.
INSERT INTO sync_state (source, dataset, cursor, succeeded_at, record_count)
VALUES (%(source)s, %(dataset)s, %(cursor)s::jsonb, %(now)s, %(records)s)
ON CONFLICT (source) DO UPDATE SET
    dataset = EXCLUDED.dataset,
    cursor = EXCLUDED.cursor,
    succeeded_at = EXCLUDED.succeeded_at,
    record_count = EXCLUDED.record_count,
    failed_at = NULL,
    problem = NULL,
    updated_at = now()
