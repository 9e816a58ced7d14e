"""Forecasts by a model library: ETS, Prophet, gradient boosting. Slow to import, so imported when called.

Belongs here: one function per candidate, as in `simple.py`. Does not belong here: anything that is known only
afterwards. A model that cannot be fitted to a series raises `NoFitError`, and is no candidate for it.
"""

from __future__ import annotations

import logging
import warnings

import numpy as np

from prodlytics.insights.forecasts.series import Floats, Series
from prodlytics.insights.forecasts.simple import last_mean, seasonal_mean

#: Days with a value below which these models are not tried.
LEAST_DAYS = 28


class NoFitError(Exception):
    """A model could not be fitted to this series."""


def ets(series: Series, horizon: int) -> Floats:
    """ETS(A,N,A) with a season of seven days; days without a value are filled with their weekday's mean."""
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    _enough(series)
    fill = seasonal_mean(series, 7)[(np.arange(len(series)) - len(series)) % 7]
    values = np.where(np.isfinite(series.value), series.value, fill)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fitted = ETSModel(values, error="add", seasonal="add", seasonal_periods=7).fit(disp=False, maxiter=200)
            return np.asarray(fitted.forecast(horizon), dtype=float)
        except (ValueError, np.linalg.LinAlgError) as error:
            raise NoFitError(f"{series.name}: ETS: {error}") from error


def prophet(series: Series, horizon: int) -> Floats:
    """Prophet with a weekly season, as the guide sets it up; its own intervals are not used."""
    import pandas as pd
    from prophet import Prophet

    _enough(series)
    logging.getLogger("cmdstanpy").setLevel(logging.ERROR)
    days = pd.date_range(series.first, periods=len(series) + horizon, freq="D")
    known = np.isfinite(series.value)
    model = Prophet(weekly_seasonality=True, yearly_seasonality=False, daily_seasonality=False, uncertainty_samples=0)
    try:
        model.fit(pd.DataFrame({"ds": days[: len(series)][known], "y": series.value[known]}), seed=0)
    except (RuntimeError, ValueError) as error:
        raise NoFitError(f"{series.name}: Prophet: {error}") from error
    return np.asarray(model.predict(pd.DataFrame({"ds": days[-horizon:]}))["yhat"], dtype=float)


def boosting(series: Series, horizon: int) -> Floats:
    """Gradient boosting on what is known at the end of the last day: weekday, recent level, the weekday's mean."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    _enough(series)
    seen: list[Floats] = []
    target: list[Floats] = []
    for origin in range(14, len(series) - 1):
        ahead = min(horizon, len(series) - origin)
        before = series.until(origin)
        if before.days_measured:
            seen.append(_known_beforehand(before, ahead))
            target.append(series.value[origin : origin + ahead])
    x, y = np.vstack(seen), np.concatenate(target)
    known = np.isfinite(y)
    model = HistGradientBoostingRegressor(
        loss="squared_error", learning_rate=0.05, max_iter=60, max_leaf_nodes=7, min_samples_leaf=20, random_state=0,
        early_stopping=False,
    )  # fmt: skip
    model.fit(x[known], y[known])
    return np.asarray(model.predict(_known_beforehand(series, horizon)), dtype=float)


def _known_beforehand(series: Series, horizon: int) -> Floats:
    recent = series.value[-7:]
    week = float(np.nanmean(recent)) if np.isfinite(recent).any() else np.nan
    return np.column_stack(
        [
            series.weekdays(horizon)[-horizon:],
            np.arange(1, horizon + 1),
            last_mean(series, horizon),
            seasonal_mean(series, horizon),
            np.full(horizon, week),
        ]
    )


def _enough(series: Series) -> None:
    if series.days_measured < LEAST_DAYS:
        raise NoFitError(f"{series.name}: {series.days_measured} days with a value, {LEAST_DAYS} are needed.")
