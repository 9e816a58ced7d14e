-- A connection is set up now: what was wrong with it is over.
DELETE FROM sync_state WHERE source = %(source)s AND dataset IS NULL
