UPDATE model_registry SET is_pinned = false WHERE model_name = %(model_name)s AND is_pinned RETURNING version
