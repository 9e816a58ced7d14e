-- One tag that counts.
INSERT INTO machine_counter (machine_id, metric_name, counts, kind)
VALUES (%(machine_id)s, %(metric_name)s, %(counts)s, %(kind)s)
