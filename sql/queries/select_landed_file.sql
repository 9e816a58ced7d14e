-- What is known of one content of a landed file.
SELECT version, rows_stored, rows_duplicate
FROM landed_file
WHERE name = %(name)s AND content_hash = %(content_hash)s
