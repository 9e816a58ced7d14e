-- Conditions of these rules that did not last long enough yet.
SELECT alert_key, since FROM alert_watch WHERE rule = ANY (%(rules)s)
