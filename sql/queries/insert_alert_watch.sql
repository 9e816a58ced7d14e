-- A condition that does not last long enough yet.
INSERT INTO alert_watch (alert_key, rule, since) VALUES (%(key)s, %(rule)s, %(since)s)
