-- Reports whose trend shows a restated day: those of the 13 production dates after it. A mark anywhere in the middle of
-- the production day will do.
INSERT INTO dirty_mark (dataset, machine_id, quarter, cause)
SELECT DISTINCT 'daily_report', '*', date_bin('15 minutes', min(o.time_bucket) + interval '1 hour', '2000-01-01'), %(cause)s
FROM daily_report r
JOIN oee_hourly o USING (production_date)
WHERE r.production_date > %(first)s AND r.production_date <= %(last)s + 13
GROUP BY r.production_date
ON CONFLICT (dataset, machine_id, quarter) DO UPDATE SET marked_at = now(), cause = EXCLUDED.cause
