"""What a machine's sensors said in each minute it ran.

Belongs here: minutes by channels, the stretches they form, the part in work, which of them are normal operation. Does
not belong here: reading them, judging them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from prodlytics.insights.anomalies.windows import Floats, Ints

MINUTE_US = 60_000_000
#: A value that is not sent again holds so many minutes; then it is not known.
HOLDS_MIN = 10
#: A standstill longer than this ends a stretch: the machine cools, windows begin anew.
STRETCH_BREAK_MIN = 30
#: After such a standstill a machine warms up for so long: neither normal operation nor an anomaly of the process.
WARM_UP_MIN = 60
#: Before a failure the machine may already have been ill: not normal operation.
BEFORE_FAILURE_MIN = 30


@dataclass(frozen=True)
class Minutes:
    """Running minutes, oldest first.

    Attributes:
        time: Start of each minute, microseconds since 1970.
        values: Minutes by channels, mean of what was sent; not a number where nothing is known.
        segments: Number of the stretch of each minute.
        parts: Part in work, or ''.
        normal: Whether the minute may teach what is normal: warm, and not shortly before a failure.
        warm: Whether the machine has warmed up after its last long standstill.
    """

    time: Ints
    values: Floats
    channels: tuple[str, ...]
    segments: Ints
    parts: npt.NDArray[np.object_]
    normal: npt.NDArray[np.bool_]
    warm: npt.NDArray[np.bool_]

    def picked(self, rows: npt.NDArray[np.bool_]) -> Minutes:
        """Only these minutes."""
        return Minutes(
            self.time[rows],
            self.values[rows],
            self.channels,
            self.segments[rows],
            self.parts[rows],
            self.normal[rows],
            self.warm[rows],
        )

    def of(self, channels: Sequence[str]) -> Floats:
        """Values of these channels in this order; one that never spoke is not a number throughout."""
        missing = np.full(len(self.time), np.nan)
        have = {name: self.values[:, place] for place, name in enumerate(self.channels)}
        return np.stack([have.get(name, missing) for name in channels], axis=1)


def minutes_of(start_us: int, end_us: int, means: pd.DataFrame, ledger: pd.DataFrame, orders: pd.DataFrame) -> Minutes:
    """Put together what was read of one machine in [start, end).

    Args:
        start_us: Microseconds since 1970; minutes count from it.
        end_us: The same, excluded.
        means: metric_name, minute (counted from the start), value.
        ledger: starts_at, ends_at, bucket.
        orders: part_number, started_at, ended_at.
    """
    count = max(0, (end_us - start_us) // MINUTE_US)
    channels = tuple(sorted(means["metric_name"].unique()))
    values: Floats = np.full((count, len(channels)), np.nan)
    column = means["metric_name"].map({name: place for place, name in enumerate(channels)})
    # Means of the same samples may differ in the last digit from one reading to the next.
    rounded = [float(f"{value:.9g}") for value in means["value"]]
    values[means["minute"].to_numpy(dtype=int), column.to_numpy(dtype=int)] = rounded
    held = pd.DataFrame(values).ffill(limit=HOLDS_MIN).to_numpy(dtype=np.float64)
    running = _running(start_us, count, ledger)
    rows = np.flatnonzero(running)
    cold = np.diff(rows, prepend=rows[:1]) > STRETCH_BREAK_MIN
    orders_begun = _orders_begun(start_us, count, orders)[rows]
    # With another order the machine is set otherwise: a window over both is like neither.
    segments = np.cumsum(cold | (np.diff(orders_begun, prepend=orders_begun[:1]) != 0)).astype(np.int64)
    since = rows[np.maximum.accumulate(np.where(cold, np.arange(len(rows)), 0))] if len(rows) else rows
    warm = rows - since >= WARM_UP_MIN
    return Minutes(
        time=np.asarray(start_us + rows * MINUTE_US, dtype=np.int64),
        values=held[rows],
        channels=channels,
        segments=segments,
        parts=_parts(start_us, count, orders)[rows],
        normal=warm & ~_before_failures(start_us, count, ledger)[rows],
        warm=warm,
    )


def _us(times: pd.Series) -> Ints:
    return np.asarray(times.to_numpy(dtype="datetime64[us]").astype(np.int64), dtype=np.int64)


def _running(start_us: int, count: int, ledger: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Minutes in which the machine ran throughout: a mean over a minute of running and standing is neither."""
    found = np.zeros(count, dtype=bool)
    runs = ledger[ledger["bucket"] == "running"]
    if runs.empty:
        return found
    begins, ends = _us(runs["starts_at"]), _us(runs["ends_at"])
    # Spans of the ledger that touch are one run: it is cut at hours and shifts.
    apart = np.r_[True, begins[1:] > ends[:-1]]
    firsts = begins[apart]
    lasts = np.maximum.reduceat(ends, np.flatnonzero(apart))
    for first, last in zip(firsts, lasts, strict=True):
        found[max(0, -(-(first - start_us) // MINUTE_US)) : max(0, (last - start_us) // MINUTE_US)] = True
    return found


def _before_failures(start_us: int, count: int, ledger: pd.DataFrame) -> npt.NDArray[np.bool_]:
    found = np.zeros(count, dtype=bool)
    for begin in _us(ledger.loc[ledger["bucket"] == "failure", "starts_at"]):
        minute = (begin - start_us) // MINUTE_US
        found[max(0, minute - BEFORE_FAILURE_MIN) : max(0, minute + 1)] = True
    return found


def _parts(start_us: int, count: int, orders: pd.DataFrame) -> npt.NDArray[np.object_]:
    found = np.full(count, "", dtype=object)
    for part, begin, end in orders[["part_number", "started_at", "ended_at"]].itertuples(index=False):
        if part is None or pd.isna(begin):
            continue
        first = max(0, (int(begin.value) // 1_000 - start_us) // MINUTE_US)
        last = count if pd.isna(end) else max(0, (int(end.value) // 1_000 - start_us) // MINUTE_US)
        found[first:last] = part
    return found


def _orders_begun(start_us: int, count: int, orders: pd.DataFrame) -> Ints:
    """How many orders began before each minute."""
    known = orders.loc[orders["started_at"].notna(), "started_at"]
    begins = np.sort(_us(known)) if len(known) else np.zeros(0, dtype=np.int64)
    return np.asarray(np.searchsorted(begins, start_us + np.arange(count) * MINUTE_US, side="right"), dtype=np.int64)
