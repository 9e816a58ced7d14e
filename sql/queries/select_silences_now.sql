-- Silences that hold now.
SELECT rule, machine_id, until, why, by_whom FROM alert_silence WHERE until > %(now)s ORDER BY until
