-- From when on something is watched; what failed before is history.
INSERT INTO alert_start (what, started_at) VALUES (%(what)s, %(now)s)
ON CONFLICT (what) DO UPDATE SET what = excluded.what
RETURNING started_at
