-- The newest weeks (Mondays) of which every production day is over and has been computed, newest first.
SELECT date_trunc('week', production_date)::date AS week
FROM oee_shift
WHERE production_date < %(running)s
GROUP BY 1
HAVING count(DISTINCT production_date) = 7
ORDER BY 1 DESC
LIMIT %(weeks)s
