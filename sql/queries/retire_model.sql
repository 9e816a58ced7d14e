UPDATE model_registry SET status = 'retired', status_reason = %(why)s, is_pinned = false
WHERE model_name = %(model_name)s AND status = 'champion'
