-- The newest good sample of each tag before each stop, no older than a day, and its age: what is sent on change holds.
SELECT s.nth, jsonb_object_agg(
           t.metric_name || CASE t.native_code WHEN '' THEN '' ELSE '[' || t.native_code || ']' END,
           jsonb_build_object('value', x.value::float4, 'text', x.value_text,
                              'age_s', (extract(epoch FROM s.at - x.time))::float4)
           ORDER BY t.metric_name, t.native_code)::text AS last_values
FROM unnest(%(machines)s::text[], %(starts)s::timestamptz[]) WITH ORDINALITY AS s (machine_id, at, nth)
JOIN tag t ON t.machine_id = s.machine_id
CROSS JOIN LATERAL (
    SELECT v.time, v.value, v.value_text
    FROM telemetry_sample v
    WHERE v.tag_id = t.tag_id AND v.time < s.at AND v.time >= s.at - interval '24 hours' AND v.quality >= 192
    ORDER BY v.time DESC LIMIT 1
) x
GROUP BY s.nth
ORDER BY s.nth
