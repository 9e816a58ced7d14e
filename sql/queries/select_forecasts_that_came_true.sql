-- Forecasts of the last weeks beside what came, for days on which parts were made.
SELECT f.level, f.member, f.expected_yield, f.low_yield, f.high_yield, f.baseline_yield,
       k.good_count::double precision / (k.good_count + k.reject_count + k.rework_count)::double precision AS actual
FROM yield_forecasts f
JOIN kpi_rollup k ON k.level = f.level AND k.member = f.member AND k.period = 'day' AND k.shift = ''
    AND k.period_start = f.forecast_date
WHERE f.forecast_date > %(last)s::date - %(days)s::int AND f.forecast_date <= %(last)s
  AND f.expected_yield IS NOT NULL AND k.good_count + k.reject_count + k.rework_count > 0
