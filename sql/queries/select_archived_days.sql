-- Days of a dataset with a current, verified file.
SELECT production_date, row_count, schema_json
FROM archive_manifest
WHERE dataset = %(dataset)s AND production_date = ANY(%(dates)s) AND is_current
ORDER BY production_date
