"""A daily series: good of total, or any other daily figure.

Belongs here: the series, its history up to a day, its usual volume. Does not belong here: forecasts of it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """A figure per day without a gap in the days; NaN where nothing was measured.

    Attributes:
        name: For people.
        first: Date of the first value; the others follow day by day.
        value: The figure; a yield is a share from 0 to 1.
        volume: Parts behind each value, 0 where there are none. A figure that is no share of a count has 1.
        lower: Least possible value; `upper` the greatest.
        is_count: Whether value times volume is a count of good parts.
    """

    name: str
    first: dt.date
    value: Floats
    volume: Floats
    lower: float = 0.0
    upper: float = 1.0
    is_count: bool = True

    def __post_init__(self) -> None:
        if len(self.value) != len(self.volume):
            raise ValueError(f"{self.name}: {len(self.value)} values, but {len(self.volume)} volumes.")

    def __len__(self) -> int:
        return len(self.value)

    def until(self, days: int) -> Series:
        """The first `days` days: what was known at the end of the last of them."""
        return Series(
            self.name, self.first, self.value[:days], self.volume[:days], self.lower, self.upper, self.is_count
        )

    def weekdays(self, ahead: int = 0) -> NDArray[np.int64]:
        """Weekday (Monday is 0) of each day, and of `ahead` days after the last."""
        return (self.first.weekday() + np.arange(len(self) + ahead)) % 7

    @property
    def days_measured(self) -> int:
        """How many days have a value."""
        return int(np.isfinite(self.value).sum())


def of_counts(name: str, dates: list[dt.date], good: list[float], total: list[float]) -> Series:
    """A yield series from counts per day; days without parts, and days not named, have no value.

    Raises:
        ValueError: There is no day, more good parts than parts on a day, or fewer than none.
    """
    if not dates:
        raise ValueError(f"{name}: a series needs at least one day.")
    first = min(dates)
    days = (max(dates) - first).days + 1
    passed, made = np.zeros(days), np.zeros(days)
    for date, good_of_day, total_of_day in zip(dates, good, total, strict=True):
        if not 0 <= good_of_day <= total_of_day:
            raise ValueError(f"{name}: {good_of_day} good of {total_of_day} parts on {date} cannot be.")
        passed[(date - first).days] += good_of_day
        made[(date - first).days] += total_of_day
    share = np.divide(passed, made, out=np.full(days, np.nan), where=made > 0)
    return Series(name, first, share, made)


def of_values(name: str, first: dt.date, values: list[float], upper: float = float("inf")) -> Series:
    """A series of daily figures that are no counts, e.g. active hours; none is below 0."""
    value = np.asarray(values, dtype=float)
    return Series(name, first, value, np.isfinite(value).astype(float), 0.0, upper, is_count=False)


def usual_volume(series: Series, horizon: int) -> Floats:
    """Parts expected on each of the coming days: the mean of that weekday in the last eight weeks."""
    recent = series.volume[-56:]
    days, ahead = series.weekdays()[-56:], series.weekdays(horizon)[-horizon:]
    return np.array([recent[days == day].mean() if (days == day).any() else recent.mean() for day in ahead])
