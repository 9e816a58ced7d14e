-- What the sensors delivered on a production date.
SELECT machine_id, production_date, metric_name, native_code, delivery
FROM sensor_delivery WHERE production_date = %(date)s
ORDER BY machine_id, metric_name, native_code
