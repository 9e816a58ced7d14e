-- Times of the good samples of each tag of a machine in [start, end), as whole microseconds since 2000 in eight bytes
-- each: an object for every sample would take most of the time.
SELECT t.metric_name, t.native_code, string_agg(timestamptz_send(s.time), ''::bytea ORDER BY s.time) AS times
FROM tag t
LEFT JOIN telemetry_sample s
    ON s.tag_id = t.tag_id AND s.time >= %(start)s AND s.time < %(end)s AND s.quality >= 192
WHERE t.machine_id = %(machine_id)s
GROUP BY t.metric_name, t.native_code
ORDER BY t.metric_name, t.native_code
