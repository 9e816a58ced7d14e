-- The states of a machine that touch [start, end).
SELECT machine_id, starts_at, ends_at, state, native_state, fault_code, state_started_at, is_open, as_of
FROM machine_states
WHERE machine_id = %(machine_id)s AND starts_at < %(end)s AND ends_at > %(start)s
ORDER BY starts_at
