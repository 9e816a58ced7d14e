UPDATE model_registry SET is_pinned = true WHERE model_name = %(model_name)s AND version = %(version)s
