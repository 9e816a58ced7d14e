-- Nobody is told of this for a while.
INSERT INTO alert_silence (rule, machine_id, until, why, by_whom)
VALUES (%(rule)s, %(machine_id)s, %(until)s, %(why)s, %(by)s)
