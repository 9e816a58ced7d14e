-- What was expected of the next seven days at the end of a production day, and how sure that was. Made with what was
-- known then; what came later is in kpi_rollup, and the view says how good it was.
CREATE TABLE yield_forecasts (
    production_date  date NOT NULL,
    level            text NOT NULL CHECK (level IN ('plant', 'machine', 'part')),
    member           text NOT NULL,
    forecast_date    date NOT NULL CHECK (forecast_date > production_date),
    made_at          timestamptz NOT NULL,
    expected_yield   double precision CHECK (expected_yield BETWEEN 0 AND 1),
    low_yield        double precision CHECK (low_yield <= expected_yield),
    high_yield       double precision CHECK (high_yield >= expected_yield),
    baseline_yield   double precision CHECK (baseline_yield BETWEEN 0 AND 1),
    expected_part_count double precision CHECK (expected_part_count >= 0),
    method           text,
    method_reason    text,
    mase             double precision,
    baseline_mase    double precision,
    null_reason      text,
    as_of            timestamptz NOT NULL,
    PRIMARY KEY (production_date, level, member, forecast_date),
    CHECK ((expected_yield IS NULL) = (null_reason IS NOT NULL))
);
CREATE INDEX ON yield_forecasts (forecast_date);
