-- How many closed production days lie between the newest archived day of each dataset and the newest that was closed.
SELECT asked.dataset, (SELECT max(production_date) FROM archive_manifest m
                       WHERE m.dataset = asked.dataset AND m.is_current) AS newest
FROM unnest(%(datasets)s::text[]) AS asked (dataset)
ORDER BY asked.dataset
