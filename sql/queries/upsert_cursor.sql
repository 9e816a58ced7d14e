INSERT INTO sync_state (source, cursor) VALUES (%(source)s, %(cursor)s::jsonb)
ON CONFLICT (source) DO UPDATE SET cursor = EXCLUDED.cursor, updated_at = now();
