"""Rows of `yield_forecasts` from daily counts, and how good the ones that came true were.

Belongs here: frames in, frames out; pure. Does not belong here: the forecasts (`choose.py`), reading and writing.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from prodlytics.datasets.registry import DATASETS
from prodlytics.insights.forecasts import backtest as bt
from prodlytics.insights.forecasts.choose import Forecast, forecast
from prodlytics.insights.forecasts.series import of_counts
from prodlytics.insights.forecasts.simple import last_mean

COLUMNS = list(DATASETS["yield_forecasts"].columns)
#: Days of history that are looked at: eight weeks of errors after eight weeks to learn from.
HISTORY_DAYS = 120
#: Candidates of every day: milliseconds each. Those of a model library take a second per series and week, and beat
#: these by no more than chance on the data we have (docs/model-quality.md).
DAILY = {**bt.SIMPLE, **bt.LIGHT}
#: Forecasts with what came true that are needed to say how good they are.
LEAST_JUDGED = 30


def forecast_rows(counts: pd.DataFrame, made_on: dt.date, ends_at: dt.datetime, as_of: dt.datetime) -> pd.DataFrame:
    """Forecasts of the seven days after `made_on`, from what was known at its end.

    Args:
        counts: level, member, production_date, good, total; days after `made_on` are not looked at.
        made_on: Production day at whose end they are made.
        ends_at: Its end, UTC.
        as_of: What was known.
    """
    first = made_on - dt.timedelta(days=HISTORY_DAYS)
    known = counts[(counts["production_date"] <= made_on) & (counts["production_date"] > first)]
    rows: list[dict[str, Any]] = []
    for (level, member), days in known.groupby(["level", "member"], sort=True):
        dates, good, total = (days[name].tolist() for name in ("production_date", "good", "total"))
        # The last day is part of the series even where nothing was made on it: forecasts begin on the next.
        series = of_counts(f"{level} {member}", [*dates, made_on], [*good, 0.0], [*total, 0.0])
        told = forecast(series, candidates=DAILY)
        simplest = last_mean(series, bt.HORIZON_DAYS) if told.choice is not None else told.point
        about = {"production_date": made_on, "level": level, "member": member, "made_at": ends_at, "as_of": as_of}
        rows += [{**about, **_of_day(told, simplest, made_on, day)} for day in range(bt.HORIZON_DAYS)]
    return _typed(rows)


def _of_day(told: Forecast, simplest: Any, made_on: dt.date, day: int) -> dict[str, Any]:
    row: dict[str, Any] = {"forecast_date": made_on + dt.timedelta(days=day + 1)}
    if told.choice is None:
        return {**row, "null_reason": f"not enough data: {told.days_missing} more days with parts needed"}
    return {
        **row,
        "expected_yield": told.point[day],
        "low_yield": told.low[day],
        "high_yield": told.high[day],
        "baseline_yield": simplest[day],
        "expected_part_count": told.volume[day],
        "method": told.choice.name,
        "method_reason": told.choice.why,
        "mase": told.choice.mase,
        "baseline_mase": told.choice.best_simple_mase,
    }


def _typed(rows: list[dict[str, Any]]) -> pd.DataFrame:
    fields = DATASETS["yield_forecasts"].fields
    frame = pd.DataFrame(rows, columns=COLUMNS, dtype=object)
    for name in COLUMNS:
        if fields[name].type == "timestamp":
            frame[name] = pd.to_datetime(frame[name], utc=True).astype("datetime64[us, UTC]")
        elif fields[name].type == "float":
            frame[name] = frame[name].astype("float64")
        else:
            frame[name] = frame[name].where(frame[name].notna(), None)
    return frame


@dataclass(frozen=True)
class Judged:
    """How good forecasts were: mean absolute errors in points of yield, share of days inside the interval.

    `coverage` is None where no forecast had an interval.
    """

    count: int
    error: float
    baseline_error: float
    coverage: float | None


def judged(came_true: pd.DataFrame) -> Judged | None:
    """Compare forecasts with what came; None where there are too few.

    Args:
        came_true: expected_yield, low_yield, high_yield, baseline_yield, actual.
    """
    if len(came_true) < LEAST_JUDGED:
        return None
    actual = came_true["actual"].to_numpy(dtype=float)
    bounded = came_true["low_yield"].notna()
    inside = (actual >= came_true["low_yield"] - 1e-12) & (actual <= came_true["high_yield"] + 1e-12)
    return Judged(
        len(actual),
        float(np.abs(actual - came_true["expected_yield"]).mean()),
        float(np.abs(actual - came_true["baseline_yield"]).mean()),
        float(inside[bounded].mean()) if bounded.any() else None,
    )
