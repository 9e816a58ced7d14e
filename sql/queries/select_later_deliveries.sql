-- Production days after one, of those machines, for which the sensors have been judged by the days before them.
SELECT DISTINCT d.machine_id, d.starts_at
FROM sensor_delivery d
JOIN unnest(%(machines)s::text[], %(dates)s::date[]) AS changed (machine_id, production_date)
    ON d.machine_id = changed.machine_id AND d.production_date > changed.production_date
    AND d.production_date <= changed.production_date + %(days)s::integer
WHERE d.starts_at >= %(end)s
