-- Mean of the good numbers each sensor of a machine sent in each minute of [start, end); minutes count from the start.
SELECT t.metric_name, floor(extract(epoch FROM s.time - %(start)s) / 60)::integer AS minute, avg(s.value) AS value
FROM tag t
JOIN telemetry_sample s ON s.tag_id = t.tag_id AND s.time >= %(start)s AND s.time < %(end)s
WHERE t.machine_id = %(machine_id)s AND t.native_code = ''
  AND s.quality >= 192 AND s.value > '-Infinity' AND s.value < 'Infinity'
GROUP BY t.tag_id, t.metric_name, minute
ORDER BY t.metric_name, minute
