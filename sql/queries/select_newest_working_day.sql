-- The newest day with a report on which the plant was planned to work: half of an average day or more, so that an
-- overtime Saturday does not count.
WITH planned AS (
    SELECT production_date, sum(planned_time_us) AS us FROM oee_hourly GROUP BY production_date
)
SELECT r.production_date
FROM daily_report r
JOIN planned p USING (production_date)
WHERE p.us >= (SELECT avg(us) / 2 FROM planned WHERE us > 0)
ORDER BY r.production_date DESC
LIMIT 1
