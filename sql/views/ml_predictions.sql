-- The guide's name over yield_forecasts, with what came true beside it; percentages as the guide has them.
CREATE OR REPLACE VIEW ml_predictions AS
SELECT f.made_at AS time,
       'yield'::text AS prediction_type,
       f.level,
       f.member,
       f.production_date AS made_on,
       f.forecast_date,
       100 * f.expected_yield AS predicted_yield_pct,
       100 * f.low_yield AS yield_lower_pct,
       100 * f.high_yield AS yield_upper_pct,
       100 * f.baseline_yield AS baseline_yield_pct,
       (100 * k.good_count / nullif(k.good_count + k.reject_count + k.rework_count, 0))::double precision AS actual_yield_pct,
       f.method,
       f.null_reason
FROM yield_forecasts f
LEFT JOIN kpi_rollup k ON k.level = f.level AND k.member = f.member AND k.period = 'day' AND k.shift = ''
    AND k.period_start = f.forecast_date;
