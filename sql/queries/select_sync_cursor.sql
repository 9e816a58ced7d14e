-- Up to where a resource of another system has been read.
SELECT cursor FROM sync_state WHERE source = %(source)s
