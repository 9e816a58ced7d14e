UPDATE model_registry SET status = 'champion', status_reason = %(why)s
WHERE model_name = %(model_name)s AND version = %(version)s
