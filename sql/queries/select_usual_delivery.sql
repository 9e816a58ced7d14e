-- How sensors of a machine were sent on the production days before one.
SELECT metric_name, native_code, production_date, running_interval_s, standing_interval_s, running_regular,
       standing_regular
FROM sensor_delivery
WHERE machine_id = %(machine_id)s
  AND production_date >= %(first)s::date - %(days)s::integer AND production_date < %(first)s
