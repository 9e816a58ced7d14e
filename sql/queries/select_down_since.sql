-- Since when each of these machines has not been up: fault and idle by turns are one stop. Looks back one day.
SELECT m.machine_id, least(first.time, m.state_since) AS since
FROM unnest(%(machines)s::text[], %(state_since)s::timestamptz[]) AS m (machine_id, state_since)
JOIN machine_source c USING (machine_id)
LEFT JOIN LATERAL (
    SELECT s.time FROM tag t
    JOIN telemetry_sample s ON s.tag_id = t.tag_id
    WHERE t.machine_id = m.machine_id AND t.metric_name = c.state_metric AND c.state_source = 'telemetry'
      AND s.time > %(now)s - interval '1 day' AND s.time <= %(now)s AND s.quality >= 192
      AND EXISTS (SELECT FROM machine_state_map w
                  WHERE w.machine_id = m.machine_id AND w.native_state = native_word(s.value, s.value_text)
                    AND NOT w.state = ANY (%(down)s))
    ORDER BY s.time DESC LIMIT 1
) up ON true
LEFT JOIN LATERAL (
    SELECT min(s.time) AS time FROM tag t
    JOIN telemetry_sample s ON s.tag_id = t.tag_id
    WHERE t.machine_id = m.machine_id AND t.metric_name = c.state_metric AND s.time > up.time AND s.time <= %(now)s
) first ON true
