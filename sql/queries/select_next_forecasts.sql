-- What is expected of the running or next production day, of the plant and each machine, by the newest forecasts.
SELECT DISTINCT ON (level, member) level, member, forecast_date, expected_yield, low_yield, high_yield
FROM yield_forecasts
WHERE forecast_date >= %(today)s AND production_date > %(today)s::date - 7 AND level IN ('plant', 'machine')
  AND expected_yield IS NOT NULL AND expected_part_count > 0
ORDER BY level, member, forecast_date, production_date DESC
