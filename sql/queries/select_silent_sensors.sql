-- Sensors that usually send at a steady interval while their machine runs, and have not for a while.
SELECT d.machine_id, d.metric_name, d.running_interval_s, latest.time AS newest, s.last_heard_at, s.line
FROM (
    SELECT DISTINCT ON (machine_id, metric_name) machine_id, metric_name, running_interval_s, running_regular
    FROM sensor_delivery
    WHERE production_date > (%(now)s::timestamptz - interval '8 days')::date AND running_interval_s IS NOT NULL
    ORDER BY machine_id, metric_name, production_date DESC
) d
JOIN live_machine_status s USING (machine_id)
CROSS JOIN LATERAL (
    SELECT max(n.time) AS time FROM tag t
    CROSS JOIN LATERAL (SELECT v.time FROM telemetry_sample v WHERE v.tag_id = t.tag_id
                        ORDER BY v.time DESC LIMIT 1) n
    WHERE t.machine_id = d.machine_id AND t.metric_name = d.metric_name
) latest
WHERE d.running_regular >= %(regular)s AND d.running_interval_s <= %(longest_s)s AND s.state = 'running'
  AND s.state_since < %(now)s - %(limit)s
ORDER BY d.machine_id, d.metric_name
