-- The oldest reason why a span of a dataset is not settled: a change that is not archived, or not yet computed from.
SELECT dataset, cause
FROM (
    SELECT m.dataset, m.cause, m.quarter FROM dirty_mark m
    WHERE m.dataset = ANY(%(datasets)s) AND m.quarter >= %(start)s AND m.quarter < %(end)s
    UNION ALL
    SELECT d.dataset, a.cause, a.quarter FROM arrival a CROSS JOIN unnest(a.datasets) AS d (dataset)
    WHERE d.dataset = ANY(%(datasets)s) AND a.quarter >= %(start)s AND a.quarter < %(end)s
) pending
ORDER BY quarter, dataset
LIMIT 1
