-- Changes of the last seven days, in the columns of the registry.
SELECT audit_id, at, actor, database_user, action, subject, subject_key, old_row::text, new_row::text
FROM audit_trail
WHERE at > now() - interval '7 days'
