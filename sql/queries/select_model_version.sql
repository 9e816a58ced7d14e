-- A version with its bytes, in use or not.
SELECT r.model_name, r.version, r.is_pinned, r.features, r.feature_version, r.score, r.metrics, r.trained_from,
       r.trained_until, f.content, r.content_hash
FROM model_registry r JOIN model_file f USING (content_hash)
WHERE r.model_name = %(model_name)s AND r.version = %(version)s
