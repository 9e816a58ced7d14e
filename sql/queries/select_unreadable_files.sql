-- Landed files whose newest content could not be read.
SELECT newest.name, newest.error
FROM (SELECT DISTINCT ON (name) name, error FROM landed_file ORDER BY name, loaded_at DESC) AS newest
WHERE newest.error IS NOT NULL
ORDER BY newest.name
