-- Losses of machines by week.
SELECT machine_id, date_trunc('week', production_date)::date AS week, loss, reason_code, sum(loss_us) AS loss_us,
       sum(occurrences) AS occurrences, sum(cost) AS cost, min(cost_reason) AS cost_reason
FROM losses
WHERE production_date >= %(first)s AND production_date < %(last)s AND machine_id = ANY(%(machines)s)
GROUP BY 1, 2, 3, 4
ORDER BY 1, 2, 3, 4
