INSERT INTO vibration_baseline (machine_id, metric_name, installed_on, level_mms, captured_until, minutes)
VALUES (%(machine_id)s, %(metric_name)s, %(installed_on)s, %(level_mms)s, %(captured_until)s, %(minutes)s)
ON CONFLICT DO NOTHING
