-- Up to where a resource of another system, or an agent, has been read.
SELECT cursor FROM sync_state WHERE source = %(source)s
