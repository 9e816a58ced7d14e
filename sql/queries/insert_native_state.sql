-- What one word of a controller means.
INSERT INTO machine_state_map (machine_id, native_state, state) VALUES (%(machine_id)s, %(native_state)s, %(state)s)
