-- Quarter hours for which datasets are marked and can be computed; what needs a restore first waits. %(inputs)s: what
-- each dataset is computed from.
SELECT DISTINCT m.quarter
FROM dirty_mark m
WHERE m.dataset = ANY(%(datasets)s)
  AND is_hot(ARRAY(SELECT jsonb_array_elements_text(%(inputs)s::jsonb -> m.dataset)),
             m.quarter - CASE WHEN starts_with(m.dataset, 'archive/') THEN interval '0' ELSE %(margin)s END,
             m.quarter + interval '15 minutes')
ORDER BY m.quarter
