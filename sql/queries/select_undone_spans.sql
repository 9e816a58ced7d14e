-- The spans of entries that others take back: they have to be derived anew without them.
SELECT kind, machine_id, starts_at, ends_at FROM operator_entries WHERE source_key = ANY(%(keys)s)
