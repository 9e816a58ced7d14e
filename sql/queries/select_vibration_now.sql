-- Mean vibration of each machine over the last minutes in which it was measured.
SELECT t.machine_id, avg(s.value) AS level_mms, count(*) AS samples, min(s.time) AS since, max(s.time) AS newest
FROM tag t
JOIN telemetry_sample s ON s.tag_id = t.tag_id
WHERE t.metric_name = %(metric)s AND s.time > %(now)s - %(span)s AND s.time <= %(now)s AND s.quality >= 192
  AND s.value IS NOT NULL
GROUP BY t.machine_id
