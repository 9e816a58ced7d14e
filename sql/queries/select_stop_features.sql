-- What was known of the stops that began in [start, end), in order of time.
SELECT machine_id, stop_started_at, stop_id, production_date, feature_version, state, fault_code, shift, part_number,
       material, work_order, operator_id, run_length_s, previous_stop_s, previous_cause, stops_1h, stops_24h,
       alarms_5min, alarms_24h, minutes_since_alarm, hours_since_maintenance, parts_5min, rejects_1h, sensors_60s,
       sensors_5min, last_values, fingerprint
FROM stop_features
WHERE stop_started_at >= %(start)s AND stop_started_at < %(end)s
ORDER BY stop_started_at, machine_id
