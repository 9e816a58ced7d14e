"""Rolling-origin backtest: each candidate forecasts from days of the past, knowing only what came before.

Belongs here: origins, errors, MASE, interval score, coverage. Does not belong here: which candidate is used.
MASE and the seasonal scale: Hyndman and Koehler, "Another look at measures of forecast accuracy", 2006. Interval
score: Gneiting and Raftery, "Strictly proper scoring rules", 2007.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from prodlytics.insights.forecasts import library, simple
from prodlytics.insights.forecasts.series import Floats, Series

Candidate = Callable[[Series, int], Floats]

HORIZON_DAYS = 7
FOLDS = 8
#: Days with a value before the first origin.
LEAST_TRAINING_DAYS = 14

#: What a complex candidate has to beat.
SIMPLE: Mapping[str, Candidate] = {
    "last_28_mean": simple.last_mean,
    "seasonal_naive": simple.seasonal_naive,
    "seasonal_mean": simple.seasonal_mean,
    "blend": simple.blend,
}
LIGHT: Mapping[str, Candidate] = {
    "exponential_smoothing": simple.smoothing,
    "weekday_shrunk": simple.weekday_shrunk,
    "beta_binomial": simple.beta_binomial,
}
LIBRARY: Mapping[str, Candidate] = {
    "ets": library.ets,
    "prophet": library.prophet,
    "boosting": library.boosting,
}
ALL: Mapping[str, Candidate] = {**SIMPLE, **LIGHT, **LIBRARY}


@dataclass(frozen=True)
class Fold:
    """One origin: what was forecast from it and what came.

    Attributes:
        origin: Days known.
        scale: Mean absolute error of the seasonal naive forecast inside the known days; NaN where it has none.
        actual: What came, NaN on days without a value.
        point: Candidate to its forecast; a candidate that could not be fitted is missing.
    """

    origin: int
    scale: float
    actual: Floats
    point: dict[str, Floats]

    def mase(self, name: str) -> float:
        """Mean absolute error over the days that have a value, in units of `scale`; NaN without any."""
        return mean_error(self.actual, self.point[name]) / self.scale


def mean_error(actual: Floats, point: Floats) -> float:
    """Mean absolute error over the days that have a value; NaN without any."""
    known = np.isfinite(actual)
    return float(np.abs(actual[known] - point[known]).mean()) if known.any() else float("nan")


def seasonal_scale(series: Series) -> float:
    """Mean absolute difference to the same weekday a week before; day to day where there is none; NaN if all equal."""
    for lag in (7, 1):
        steps = np.abs(series.value[lag:] - series.value[:-lag])
        steps = steps[np.isfinite(steps)]
        if len(steps) and steps.mean() > 0:
            return float(steps.mean())
    return float("nan")


def bounded(series: Series, candidate: Candidate, horizon: int = HORIZON_DAYS) -> Floats:
    """A candidate's forecast within what is possible: a yield is never above 100 %."""
    return np.clip(candidate(series, horizon), series.lower, series.upper)


def backtest(
    series: Series, candidates: Mapping[str, Candidate], folds: int, horizon: int = HORIZON_DAYS
) -> list[Fold]:
    """Forecast from the last `folds` origins, `horizon` days apart, oldest first; fewer where the series is short."""
    found = []
    for nth in range(folds, 0, -1):
        origin = len(series) - nth * horizon
        if origin < 1:
            continue
        known = series.until(origin)
        if known.days_measured < LEAST_TRAINING_DAYS:
            continue
        point = {}
        for name, candidate in candidates.items():
            try:
                point[name] = bounded(known, candidate, horizon)
            except library.NoFitError:
                continue
        found.append(Fold(origin, seasonal_scale(known), series.value[origin : origin + horizon], point))
    return found


def interval_score(actual: Floats, low: Floats, high: Floats, level: float) -> float:
    """Mean width of the intervals, plus 2 / (1 - level) times the distance of what fell outside; less is better."""
    known = np.isfinite(actual)
    actual, low, high = actual[known], low[known], high[known]
    outside = np.maximum(low - actual, 0) + np.maximum(actual - high, 0)
    return float((high - low + 2 / (1 - level) * outside).mean()) if known.any() else float("nan")
