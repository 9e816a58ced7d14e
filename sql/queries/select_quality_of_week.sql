-- Data quality of the production days up to a last one (without one: up to the newest).
SELECT * FROM data_quality
WHERE production_date > coalesce(%(last)s::date, (SELECT max(production_date) FROM data_quality)) - %(days)s::integer
  AND production_date <= coalesce(%(last)s::date, (SELECT max(production_date) FROM data_quality))
ORDER BY machine_id, production_date, shift
