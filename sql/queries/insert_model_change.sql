INSERT INTO model_change (model_name, version, action, changed_by, why)
VALUES (%(model_name)s, %(version)s, %(action)s, %(by)s, %(why)s)
