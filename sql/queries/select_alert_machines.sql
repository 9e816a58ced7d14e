-- Each machine now: what it does, how its shift goes, whether somebody says it is maintained.
SELECT s.machine_id, s.line, s.state, s.state_since, s.unknown_reason, s.fault_code, s.last_heard_at,
       l.shift, l.availability, l.performance, l.quality, l.oee, l.planned_time_min, l.good_count, l.reject_count,
       l.hour_good_count, l.hour_reject_count, l.as_of,
       (SELECT e.reason_code FROM operator_entries e
        WHERE e.machine_id = s.machine_id AND e.kind = 'reason' AND e.reason_code = ANY (%(maintenance)s)
          AND e.starts_at <= %(now)s AND (e.ends_at IS NULL OR e.ends_at > %(now)s)
          AND (s.state_since IS NULL OR e.starts_at >= s.state_since - interval '1 hour')
          AND NOT EXISTS (SELECT FROM operator_entries u WHERE u.kind = 'undo' AND u.undoes = e.source_key)
        ORDER BY e.entry_id DESC LIMIT 1) AS maintained
FROM live_machine_status s
LEFT JOIN live_oee l USING (machine_id)
ORDER BY s.machine_id
