SELECT version FROM model_registry
WHERE model_name = %(model_name)s AND content_hash IS NOT DISTINCT FROM %(content_hash)s AND data_fingerprint = %(data_fingerprint)s
  AND code_version = %(code_version)s
ORDER BY version DESC LIMIT 1
