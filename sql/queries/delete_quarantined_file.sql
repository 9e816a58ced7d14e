-- Rows of a file that is about to be read again: what is still wrong comes back.
DELETE FROM quarantine WHERE dataset = %(dataset)s AND origin = %(name)s
