-- The same content lies there anew (copied again, touched): remember how it looks in a listing.
UPDATE landed_file SET version = %(version)s WHERE name = %(name)s AND content_hash = %(content_hash)s
