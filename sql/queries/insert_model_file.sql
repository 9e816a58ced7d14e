INSERT INTO model_file (content_hash, content) VALUES (%(content_hash)s, %(content)s) ON CONFLICT DO NOTHING
