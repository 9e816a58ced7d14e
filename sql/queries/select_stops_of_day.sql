-- Parts of stops of a production date.
SELECT time_start, time_end, machine_id, stop_id, stop_started_at, stop_ended_at, as_of, state, bucket, fault_code,
       reason_code, reason_category, reason_detail, reason_source, shift, production_date, operator_id, work_order, notes,
       reason_entry
FROM downtime_events WHERE production_date = %(date)s ORDER BY machine_id, time_start
