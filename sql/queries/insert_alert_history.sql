-- What became of an alert.
INSERT INTO alert_history (alert_id, happened_at, what, detail, by_whom)
VALUES (%(alert_id)s, %(now)s, %(what)s, %(detail)s, %(by)s)
