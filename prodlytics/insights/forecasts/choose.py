"""Which candidate forecasts a series, and how wide its interval is: both from its own backtest, never from hindsight.

Belongs here: choice, interval, "not enough data". Does not belong here: candidates and their errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prodlytics.insights.forecasts import backtest as bt
from prodlytics.insights.forecasts.series import Floats, Series, usual_volume

LEVEL = 0.8
#: Chance with which a complex candidate that is no better is taken for better.
SIGNIFICANCE = 0.05
#: Folds without which nothing is known of errors.
LEAST_FOLDS = 3


@dataclass(frozen=True)
class Choice:
    """The candidate in use, and why, in a sentence."""

    name: str
    best_simple: str
    mase: float | None
    best_simple_mase: float | None
    why: str


@dataclass(frozen=True)
class Forecast:
    """What is expected of each of the coming days.

    Attributes:
        point: Expected figure; `low` and `high` hold it with 80 % probability, as far as past errors tell.
        volume: Parts expected.
        days_missing: Days with a value that are still needed; above 0 nothing is forecast.
    """

    choice: Choice | None
    point: Floats
    low: Floats
    high: Floats
    volume: Floats
    days_missing: int = 0


def choose(folds: Sequence[bt.Fold]) -> Choice:
    """The best simple candidate, unless another one beats it by more than chance over the folds (paired t-test).

    With fewer than three folds that can be judged it is the blend of the simple ones.
    """
    scored = [fold for fold in folds if np.isfinite(fold.scale) and np.isfinite(fold.actual).any()]
    if len(scored) < LEAST_FOLDS:
        return Choice(
            "blend", "blend", None, None, f"{len(scored)} weeks of errors are known, {LEAST_FOLDS} are needed"
        )
    names = [name for name in scored[0].point if all(name in fold.point for fold in scored)]
    errors = {name: np.array([fold.mase(name) for fold in scored]) for name in names}
    simple = min((name for name in names if name in bt.SIMPLE), key=lambda name: errors[name].mean())
    best = min(names, key=lambda name: errors[name].mean())
    ours, theirs = float(errors[best].mean()), float(errors[simple].mean())
    if best in bt.SIMPLE:
        return Choice(simple, simple, theirs, theirs, f"no candidate beats {simple} over {len(scored)} weeks")
    better = [name for name in names if name not in bt.SIMPLE and _chance(errors[simple] - errors[name]) < SIGNIFICANCE]
    if not better:
        return Choice(simple, simple, theirs, theirs,
                      f"{best} (MASE {ours:.3f}) beats {simple} ({theirs:.3f}) by no more than chance")  # fmt: skip
    best = min(better, key=lambda name: errors[name].mean())
    ours = float(errors[best].mean())
    return Choice(best, simple, ours, theirs, f"{best} (MASE {ours:.3f}) beats {simple} ({theirs:.3f})")


def _chance(gains: Floats) -> float:
    """One-sided probability of such gains where there is none."""
    from scipy import stats

    if float(gains.std()) == 0.0:
        return 0.0 if gains.mean() > 0 else 1.0
    return float(stats.ttest_1samp(gains, 0.0, alternative="greater").pvalue)


def interval(
    series: Series, point: Floats, name: str, folds: Sequence[bt.Fold], level: float = LEVEL
) -> tuple[Floats, Floats]:
    """The shortest band around the forecast that holds a share `level` of the candidate's past errors.

    Errors are those of the backtest, never of the fit; the rank is that of split conformal prediction, (n + 1) level.
    Candidates that were not there in a fold are left out of it. With too few errors for the level there is none: NaN.
    """
    errors = [fold.actual - fold.point[name] for fold in folds if name in fold.point]
    residuals = np.concatenate(errors) if errors else np.empty(0)
    residuals = np.sort(residuals[np.isfinite(residuals)])
    count = len(residuals)
    inside = int(np.ceil((count + 1) * level))
    if inside > count or count < 2:
        return np.full(len(point), np.nan), np.full(len(point), np.nan)
    low, high = np.empty(len(point)), np.empty(len(point))
    for day, middle in enumerate(point):
        reached = np.clip(middle + residuals, series.lower, series.upper)
        width = reached[inside - 1 :] - reached[: count - inside + 1]
        at = _middle_of_narrowest(width)
        low[day], high[day] = reached[at], reached[at + inside - 1]
    return np.minimum(low, point), np.maximum(high, point)


def _middle_of_narrowest(width: Floats) -> int:
    narrowest = np.flatnonzero(width <= width.min() + 1e-12)
    return int(narrowest[len(narrowest) // 2])


def forecast(
    series: Series,
    horizon: int = bt.HORIZON_DAYS,
    candidates: Mapping[str, bt.Candidate] | None = None,
    folds: int = bt.FOLDS,
) -> Forecast:
    """Choose by backtest, forecast, and say how sure that is.

    Nothing is forecast while fewer than `LEAST_TRAINING_DAYS` days have a value: `days_missing` says how many are.
    """
    candidates = bt.ALL if candidates is None else candidates
    return from_folds(series, candidates, bt.backtest(series, candidates, folds), horizon)


def from_folds(
    series: Series, candidates: Mapping[str, bt.Candidate], folds: Sequence[bt.Fold], horizon: int = bt.HORIZON_DAYS
) -> Forecast:
    """As `forecast`, with a backtest that is there already; its folds must lie inside the series."""
    missing = bt.LEAST_TRAINING_DAYS - series.days_measured
    if missing > 0:
        none = np.full(horizon, np.nan)
        return Forecast(None, none, none, none, none, missing)
    choice = choose(folds)
    point = bt.bounded(series, candidates[choice.name], horizon)
    low, high = interval(series, point, choice.name, folds)
    return Forecast(choice, point, low, high, usual_volume(series, horizon))
