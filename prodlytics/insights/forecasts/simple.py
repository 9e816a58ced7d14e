"""Forecasts without a model library: means, seasonal means, smoothing, the beta-binomial.

Belongs here: one function per candidate, from a series and a horizon in days to one figure per day. Does not belong
here: Prophet, ETS and boosting (`library.py`), and which candidate is used (`choose.py`). A series has at least one
value.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from prodlytics.insights.forecasts.series import Floats, Series

#: Days after which a day counts half as much in the beta-binomial.
HALF_LIFE_DAYS = 21.0
#: Weight of the newest value in exponential smoothing.
SMOOTHING = 0.15
SEASON_DAYS = 56


def last_mean(series: Series, horizon: int) -> Floats:
    """Mean of the values of the last 28 days; of all where these have none."""
    return np.full(horizon, _level(series.value, 28))


def seasonal_naive(series: Series, horizon: int) -> Floats:
    """The last value of the same weekday."""
    return _by_weekday(series, horizon, lambda values: float(values[-1]))


def seasonal_mean(series: Series, horizon: int) -> Floats:
    """Mean of the same weekday in the last eight weeks."""
    return _by_weekday(series, horizon, lambda values: float(values.mean()))


def smoothing(series: Series, horizon: int) -> Floats:
    """Simple exponential smoothing over the days that have a value."""
    values = series.value[np.isfinite(series.value)]
    level = float(values[:7].mean())
    for value in values:
        level += SMOOTHING * (float(value) - level)
    return np.full(horizon, level)


def weekday_shrunk(series: Series, horizon: int) -> Floats:
    """Weekday means drawn towards the common mean as far as their spread is chance (empirical Bayes).

    Where weekdays do not differ it is the mean, where they do it is the seasonal mean. See Efron and Morris, "Data
    analysis using Stein's estimator and its generalizations", 1975.
    """
    values, days = series.value[-SEASON_DAYS:], series.weekdays()[-SEASON_DAYS:]
    known = np.isfinite(values)
    groups = {day: values[known & (days == day)] for day in range(7)}
    groups = {day: group for day, group in groups.items() if len(group)}
    if len(groups) < 2:
        return last_mean(series, horizon)
    common = float(values[known].mean())
    inside = sum(float(((group - group.mean()) ** 2).sum()) for group in groups.values())
    noise = inside / max(int(known.sum()) - len(groups), 1)
    means = np.array([group.mean() for group in groups.values()])
    chance = noise * float(np.mean([1 / len(group) for group in groups.values()]))
    real = max(float(means.var(ddof=1)) - chance, 0.0)
    drawn = {
        day: common + (float(group.mean()) - common) * (real / (real + noise / len(group)) if real > 0 else 0.0)
        for day, group in groups.items()
    }
    return np.array([drawn.get(int(day), common) for day in series.weekdays(horizon)[-horizon:]])


def beta_counts(series: Series) -> tuple[float, float]:
    """Good and rejected parts with forgetting, after a prior of one part at the series' own mean: alpha and beta."""
    age = np.arange(len(series))[::-1]
    weight = 0.5 ** (age / HALF_LIFE_DAYS)
    known = np.isfinite(series.value)
    share = np.where(known, series.value, 0.0)
    good = float((weight * share * series.volume).sum())
    reject = float((weight * (1 - share) * series.volume * known).sum())
    made = float(series.volume[known].sum())
    mean = float((share * series.volume).sum()) / made
    return good + np.clip(mean, 0.01, 0.99), reject + 1 - np.clip(mean, 0.01, 0.99)


def beta_binomial(series: Series, horizon: int) -> Floats:
    """Mean of the beta distribution of the share, old days forgotten; for figures that are no counts, smoothing."""
    if not series.is_count:
        return smoothing(series, horizon)
    alpha, beta = beta_counts(series)
    return np.full(horizon, alpha / (alpha + beta))


def blend(series: Series, horizon: int) -> Floats:
    """Middle of the 28-day mean and the seasonal mean: what is used while nothing is known of their errors."""
    return (last_mean(series, horizon) + seasonal_mean(series, horizon)) / 2


def _level(values: Floats, days: int) -> float:
    recent = values[-days:][np.isfinite(values[-days:])]
    return float(recent.mean()) if len(recent) else float(np.nanmean(values))


def _by_weekday(series: Series, horizon: int, of_group: Callable[[Floats], float]) -> Floats:
    values, days = series.value[-SEASON_DAYS:], series.weekdays()[-SEASON_DAYS:]
    known = np.isfinite(values)
    common = _level(series.value, 28)
    groups = {day: values[known & (days == day)] for day in range(7)}
    told = {day: of_group(group) for day, group in groups.items() if len(group)}
    return np.array([told.get(int(day), common) for day in series.weekdays(horizon)[-horizon:]])
