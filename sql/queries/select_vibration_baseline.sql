-- What was captured of a machine's vibration after an installation.
SELECT level_mms, captured_until FROM vibration_baseline
WHERE machine_id = %(machine_id)s AND metric_name = %(metric_name)s AND installed_on = %(installed_on)s
