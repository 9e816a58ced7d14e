SELECT cursor FROM sync_state WHERE source = %(source)s;
