-- Production days of a dataset with a current file.
SELECT production_date
FROM archive_manifest
WHERE dataset = %(dataset)s AND production_date BETWEEN %(first)s AND %(last)s AND is_current
ORDER BY production_date
