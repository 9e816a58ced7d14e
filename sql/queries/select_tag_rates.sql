-- How many samples a day each tag sent on its busiest day; days are those of UTC, by which the hub counts its quota.
SELECT machine_id, metric_name, max(samples) AS samples_per_day
FROM (
    SELECT t.machine_id, t.metric_name, date_trunc('day', s.time, 'UTC') AS day, count(*) AS samples
    FROM telemetry_sample s
    JOIN tag t USING (tag_id)
    WHERE s.time >= %(since)s
    GROUP BY t.machine_id, t.metric_name, day
) per_day
GROUP BY machine_id, metric_name
ORDER BY machine_id, metric_name
