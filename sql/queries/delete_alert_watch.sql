-- What is watched of these rules is written anew.
DELETE FROM alert_watch WHERE rule = ANY (%(rules)s)
