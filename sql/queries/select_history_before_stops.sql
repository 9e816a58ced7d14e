-- What had happened on the machine until each stop, as far as it was known at that moment: a cause that somebody named
-- later is not. Nothing is looked for further back than a day, but for maintenance: 90 days.
SELECT s.nth,
       -- A stop beside a silence has no run before it that anybody knows of.
       extract(epoch FROM s.at - run.starts_at)::float8 AS run_length_s,
       extract(epoch FROM before.ended_at - before.started_at)::float8 AS previous_stop_s,
       before.cause AS previous_cause,
       counted.stops_1h, counted.stops_24h,
       alarmed.alarms_5min, alarmed.alarms_24h,
       extract(epoch FROM s.at - alarmed.newest)::float8 / 60 AS minutes_since_alarm,
       extract(epoch FROM s.at - cared.ended_at)::float8 / 3600 AS hours_since_maintenance,
       made.parts_5min, made.rejects_1h,
       ordered.part_number, ordered.work_order, spoke.operator_id
FROM unnest(%(machines)s::text[], %(starts)s::timestamptz[]) WITH ORDINALITY AS s (machine_id, at, nth)
LEFT JOIN LATERAL (
    SELECT coalesce(r.state_started_at, r.starts_at) AS starts_at
    FROM machine_states r
    WHERE r.machine_id = s.machine_id AND r.starts_at < s.at AND r.starts_at >= s.at - interval '24 hours'
      AND r.ends_at = s.at AND r.state = 'running'
    ORDER BY r.starts_at DESC LIMIT 1
) run ON true
LEFT JOIN LATERAL (
    SELECT d.stop_started_at AS started_at, d.stop_ended_at AS ended_at,
           CASE WHEN e.source_key IS NULL OR e.entered_at < s.at THEN d.reason_category END AS cause
    FROM downtime_events d
    LEFT JOIN operator_entries e ON e.source_key = d.reason_entry
    WHERE d.machine_id = s.machine_id AND d.time_start < s.at AND d.time_start >= s.at - interval '24 hours'
      AND d.stop_started_at < s.at AND d.stop_ended_at <= s.at AND d.bucket <> 'micro_stop'
    ORDER BY d.time_start DESC LIMIT 1
) before ON true
CROSS JOIN LATERAL (
    SELECT count(DISTINCT d.stop_started_at) FILTER (WHERE d.stop_started_at >= s.at - interval '1 hour') AS stops_1h,
           count(DISTINCT d.stop_started_at) AS stops_24h
    FROM downtime_events d
    WHERE d.machine_id = s.machine_id AND d.time_start < s.at AND d.stop_started_at < s.at
      AND d.time_start >= s.at - interval '24 hours'
) counted
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE a.time >= s.at - interval '5 minutes') AS alarms_5min,
           count(*) AS alarms_24h, max(a.time) AS newest
    FROM production_events a
    WHERE a.machine_id = s.machine_id AND a.event_type = 'alarm' AND a.time < s.at
      AND a.time >= s.at - interval '24 hours'
) alarmed
LEFT JOIN LATERAL (
    SELECT d.time_end AS ended_at
    FROM downtime_events d
    LEFT JOIN operator_entries e ON e.source_key = d.reason_entry
    WHERE d.machine_id = s.machine_id AND d.time_end <= s.at AND d.time_start >= s.at - interval '90 days'
      AND d.time_start < s.at AND d.bucket = 'planned_stop'
      AND d.reason_category = ANY(%(maintenance)s) AND (e.source_key IS NULL OR e.entered_at < s.at)
    ORDER BY d.time_start DESC LIMIT 1
) cared ON true
CROSS JOIN LATERAL (
    SELECT coalesce(sum(p.good_count + p.reject_count) FILTER (WHERE p.time >= s.at - interval '5 minutes'), 0)
               AS parts_5min,
           coalesce(sum(p.reject_count), 0) AS rejects_1h
    FROM production_events p
    WHERE p.machine_id = s.machine_id AND p.time < s.at AND p.time >= s.at - interval '1 hour'
) made
LEFT JOIN LATERAL (
    SELECT o.part_number, o.work_order
    FROM work_orders o
    WHERE o.machine_id = s.machine_id AND o.started_at < s.at AND (o.ended_at IS NULL OR o.ended_at >= s.at)
    ORDER BY o.started_at DESC, o.work_order LIMIT 1
) ordered ON true
LEFT JOIN LATERAL (
    SELECT e.entered_by AS operator_id
    FROM operator_entries e
    WHERE e.machine_id = s.machine_id AND e.starts_at < s.at AND e.starts_at >= s.at - interval '12 hours'
      AND e.entered_at < s.at AND e.kind <> 'undo'
    ORDER BY e.entered_at DESC, e.source_key DESC LIMIT 1
) spoke ON true
ORDER BY s.nth
