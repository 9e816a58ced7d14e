-- What is marked but was computed from data that is only in the archive: it waits until that is restored.
SELECT m.dataset, count(DISTINCT m.machine_id) AS machines, min(m.quarter) AS first, max(m.quarter) AS last,
       count(*) AS marks, max(m.cause) AS cause
FROM dirty_mark m
WHERE NOT is_hot(ARRAY(SELECT jsonb_array_elements_text(%(inputs)s::jsonb -> m.dataset)),
                 m.quarter - CASE WHEN starts_with(m.dataset, 'archive/') THEN interval '0' ELSE %(margin)s END,
                 m.quarter + interval '15 minutes')
GROUP BY m.dataset
ORDER BY m.dataset
