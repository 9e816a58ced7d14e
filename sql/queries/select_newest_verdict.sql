-- What came of the last training of a model.
SELECT version, status, status_reason FROM model_registry WHERE model_name = %(model_name)s
ORDER BY version DESC LIMIT 1
