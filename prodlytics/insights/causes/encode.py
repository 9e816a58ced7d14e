"""Rows of `stop_features` as numbers a model can read.

Belongs here: unfolding the windows into columns, which columns are worth keeping, what is usual on each machine. The
encoding is learned on the rows a model is fitted on and stored with it, so that training and answering read the same.
Does not belong here: the model (`train`), words for people (`words`).
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from prodlytics.insights.stop_features import WINDOWS

#: Columns of `stop_features` that are numbers as they stand.
NUMBERS = (
    "run_length_s", "previous_stop_s", "stops_1h", "stops_24h", "alarms_5min", "alarms_24h", "minutes_since_alarm",
    "hours_since_maintenance", "parts_5min", "rejects_1h",
)  # fmt: skip
#: Columns that are names.
NAMES = (
    "machine_id", "state", "fault_code", "shift", "part_number", "material", "operator_id", "previous_cause",
)  # fmt: skip
#: A column that says something of fewer stops is left out.
AT_LEAST_KNOWN = 0.01
#: The most frequent names of a column are told apart; the others are one.
NAMES_KEPT = 30
#: A column that does little but grow with time (a counter) says when, not why.
ONLY_DRIFTS = 0.95

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Encoding:
    """What a model needs to read `stop_features`.

    Attributes:
        numeric: Numeric columns in order.
        named: Columns of names, each with the names it tells apart; they follow the numeric ones.
        usual: Machine to median and spread (interquartile range) of each numeric column; `` for a machine that was not
            there in training.
        zone: The plant's zone, for the hour of the day.
        without: Columns of `stop_features` that are not read.
    """

    numeric: tuple[str, ...]
    named: tuple[tuple[str, tuple[str, ...]], ...]
    usual: dict[str, tuple[Matrix, Matrix]]
    zone: str
    without: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of the matrix."""
        return (*self.numeric, *(name for name, _ in self.named))

    def matrix(self, features: pd.DataFrame) -> Matrix:
        """The rows as numbers; what is missing is NaN.

        Values of sensors stand relative to what is usual on their machine: machines of one plant have the same tags at
        other levels.
        """
        flat = unfolded(features, self.zone, self.without)
        numbers = flat.reindex(columns=list(self.numeric)).to_numpy(dtype=np.float64, copy=True)
        machine = features["machine_id"].to_numpy(dtype=object)
        of_sensor = np.array([is_of_sensor(name) for name in self.numeric], dtype=bool)
        for name in set(machine):
            middle, spread = self.usual.get(name, self.usual[""])
            rows = machine == name
            relative = (numbers[rows] - middle) / spread
            numbers[rows] = np.where(of_sensor, relative, numbers[rows])
        coded = [_codes(flat, name, kept) for name, kept in self.named]
        return np.column_stack([numbers, *coded]) if coded else numbers

    def as_dict(self) -> dict[str, Any]:
        """For storing beside the model."""
        return {
            "numeric": list(self.numeric),
            "named": [[name, list(kept)] for name, kept in self.named],
            "usual": {name: [middle, spread] for name, (middle, spread) in self.usual.items()},
            "zone": self.zone,
            "without": list(self.without),
        }

    @staticmethod
    def from_dict(stored: dict[str, Any]) -> Encoding:
        """The inverse of `as_dict`."""
        return Encoding(
            tuple(stored["numeric"]),
            tuple((name, tuple(kept)) for name, kept in stored["named"]),
            {name: (middle, spread) for name, (middle, spread) in stored["usual"].items()},
            stored["zone"],
            tuple(stored["without"]),
        )


def learn_encoding(features: pd.DataFrame, zone: str, without: Collection[str] = ()) -> Encoding:
    """The encoding for these rows of `stop_features`, which are in order of time."""
    flat = unfolded(features, zone, without)
    names = [str(name) for name in flat.columns if _is_name(str(name))]
    numbers = flat.drop(columns=names).astype(np.float64)
    clock = pd.Series(np.arange(len(flat), dtype=np.float64), index=flat.index)
    kept = [str(name) for name in numbers if _is_worth_keeping(numbers[name], clock)]
    numbers = numbers[sorted(kept)]
    usual = {"": _middle_and_spread(numbers)}
    for machine, rows in numbers.groupby(features["machine_id"].to_numpy(dtype=object)):
        usual[str(machine)] = _middle_and_spread(rows)
    named = []
    for name in sorted(names):
        counts = flat[name].dropna().astype(str).value_counts()
        told_apart = tuple(str(one) for one in counts.index[:NAMES_KEPT])
        if len(told_apart) > 1 and counts.sum() >= AT_LEAST_KNOWN * len(flat):
            named.append((name, told_apart))
    return Encoding(tuple(numbers.columns), tuple(named), usual, zone, tuple(sorted(without)))


def unfolded(features: pd.DataFrame, zone: str, without: Collection[str] = ()) -> pd.DataFrame:
    """`stop_features` with a column for each figure of each tag: `Temperature_C|mean|60`, `Tool|text`, `Tool|age_s`.

    Conditions that carry a native code are counted as alarms elsewhere and left out here.
    """
    columns: dict[str, Any] = {}
    windows = [_window(features[name], seconds) for name, seconds in WINDOWS.items()]
    held = _held(features["last_values"])
    local = features["stop_started_at"].dt.tz_convert(ZoneInfo(zone))
    columns["hour_of_day"] = (local.dt.hour + local.dt.minute / 60).to_numpy(dtype=np.float64)
    columns["weekday"] = local.dt.weekday.to_numpy(dtype=np.float64)
    for name in (*NUMBERS, *NAMES):
        if name not in without:
            columns[name] = features[name].to_numpy()
    frame = pd.DataFrame(columns)
    return pd.concat([frame, *windows, held], axis=1)


def is_of_sensor(name: str) -> bool:
    """Whether a column is a level of a tag: not how often or when it was heard, and nothing of the history."""
    parts = name.split("|")
    return len(parts) > 1 and parts[1] in ("mean", "std", "min", "max", "last", "value")


def _is_name(name: str) -> bool:
    return name in NAMES or name.endswith("|text")


def _window(said: pd.Series[str], seconds: int) -> pd.DataFrame:
    rows = [
        {
            f"{tag}|{figure}|{seconds}": value
            for tag, figures in json.loads(text).items()
            if "[" not in tag
            for figure, value in figures.items()
        }
        for text in said
    ]
    return pd.DataFrame(rows, index=range(len(rows)))


def _held(said: pd.Series[str]) -> pd.DataFrame:
    rows = [
        {
            f"{tag}|{part}": value
            for tag, sample in json.loads(text).items()
            if "[" not in tag
            for part, value in sample.items()
            if value is not None
        }
        for text in said
    ]
    return pd.DataFrame(rows, index=range(len(rows)))


def _is_worth_keeping(column: pd.Series[float], clock: pd.Series[float]) -> bool:
    known = column.notna()
    if known.sum() < max(AT_LEAST_KNOWN * len(column), 2) or column[known].nunique() < 2:
        return False
    return bool(abs(column[known].corr(clock[known], method="spearman")) < ONLY_DRIFTS)


def _middle_and_spread(numbers: pd.DataFrame) -> tuple[Matrix, Matrix]:
    middle = numbers.median().to_numpy(dtype=np.float64)
    spread = (numbers.quantile(0.75) - numbers.quantile(0.25)).to_numpy(dtype=np.float64)
    # A column that hardly ever moves keeps its own scale; one the machine does not have stays missing anyway.
    spread = np.where(np.isfinite(spread) & (spread > 0), spread, 1.0)
    return np.where(np.isfinite(middle), middle, 0.0), spread


def _codes(flat: pd.DataFrame, name: str, kept: tuple[str, ...]) -> Matrix:
    """Names as numbers, the most frequent one 0; another name than those one more than the last; missing NaN."""
    if name not in flat:
        return np.full(len(flat), np.nan)
    code = {one: float(nth) for nth, one in enumerate(kept)}
    return np.array(
        [np.nan if value is None or value != value else code.get(str(value), float(len(kept))) for value in flat[name]],
        dtype=np.float64,
    )
