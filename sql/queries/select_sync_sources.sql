-- Everything other systems and agents were read of.
SELECT source FROM sync_state
