-- A new version of an archived day.
INSERT INTO archive_manifest (dataset, production_date, version, is_current, path, content_hash, data_hash, row_count,
                              size_bytes, first_time, last_time, schema_json, code_version, verified_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
