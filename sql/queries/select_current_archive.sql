-- The version of an archived day that counts.
SELECT dataset, production_date, version, is_current, path, content_hash, data_hash, row_count, size_bytes,
       first_time, last_time, schema_json, code_version, verified_at
FROM archive_manifest
WHERE dataset = %s AND production_date = %s AND is_current
