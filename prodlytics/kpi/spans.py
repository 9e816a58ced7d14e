"""Half-open spans of time as integer microseconds.

Belongs here: turning frame columns into int64 microseconds and back, finding the span that covers an instant, cutting
at many edges at once. Does not belong here: what a span means (states, stops, ledger).
Microseconds as int64 because float minutes do not add up to whole hours.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
ObjectArray = npt.NDArray[np.object_]

#: A missing instant in an int64 array; the number pandas uses for NaT.
MISSING = int(np.iinfo(np.int64).min)
#: Later than every instant.
FOREVER = int(np.iinfo(np.int64).max)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
NOTHING: ObjectArray = np.array(None, dtype=object)
MICROSECOND = dt.timedelta(microseconds=1)


def to_us(times: pd.Series[Any]) -> IntArray:
    """Aware times as microseconds since 1970 UTC; missing ones as `MISSING`.

    Raises:
        ValueError: The times carry no zone.
    """
    if isinstance(times.dtype, np.dtype) and times.dtype.kind == "M":
        raise ValueError(f"{times.name}: times must carry a zone")
    # Columns of aware times need no parsing; a column of nothing but None has no type yet.
    index = pd.DatetimeIndex(times if isinstance(times.dtype, pd.DatetimeTZDtype) else pd.to_datetime(times, utc=True))
    index = index.tz_convert("UTC").as_unit("us")
    return index.tz_localize(None).to_numpy(dtype="M8[us]").view(np.int64)


def instant_us(instant: dt.datetime) -> int:
    """One aware instant as microseconds since 1970 UTC."""
    return int((instant - EPOCH) // MICROSECOND)


def from_us(values: IntArray) -> pd.Series[Any]:
    """Microseconds since 1970 UTC as a column of aware times; `MISSING` becomes NaT."""
    return pd.Series(np.asarray(values, dtype=np.int64).view("M8[us]")).dt.tz_localize("UTC")


def texts(column: pd.Series[Any]) -> ObjectArray:
    """A column as Python objects with None for what is missing; not to be written to."""
    values: ObjectArray = column.to_numpy(dtype=object)
    gaps = missing(values)
    return np.where(gaps, NOTHING, values) if gaps.any() else values


def missing(values: ObjectArray) -> BoolArray:
    """Where nothing is."""
    return np.asarray(pd.isna(values), dtype=bool)


def codes(values: ObjectArray) -> IntArray:
    """A number for every distinct value, -1 for None: what differs is then cheap to see."""
    return np.asarray(pd.factorize(values, use_na_sentinel=True)[0], dtype=np.int64)


def pick(values: ObjectArray, index: IntArray) -> ObjectArray:
    """`values[index]`, None where the index is negative."""
    out = np.full(len(index), None, dtype=object)
    found = index >= 0
    out[found] = values[index[found]]
    return out


def covering(starts: IntArray, ends: IntArray, at: IntArray) -> IntArray:
    """Index of the span that covers each instant, -1 where none does; spans sorted and without overlap."""
    if not len(starts):
        return np.full(len(at), -1, dtype=np.int64)
    index = np.searchsorted(starts, at, side="right") - 1
    inside = (index >= 0) & (at < ends[index])
    return np.where(inside, index, -1).astype(np.int64)


def cut(low: int, high: int, edges: Iterable[IntArray]) -> tuple[IntArray, IntArray]:
    """Cut [low, high) at all edges inside it: starts and ends of the pieces, in order."""
    if high <= low:
        empty = np.empty(0, dtype=np.int64)
        return empty, empty
    points = np.unique(np.concatenate([np.array([low, high], dtype=np.int64), *edges]))
    points = points[(points >= low) & (points <= high)]
    return points[:-1], points[1:]


def changes(starts: IntArray, ends: IntArray, attributes: Iterable[IntArray]) -> BoolArray:
    """Where a new row begins: at every piece that does not continue the one before with equal attributes."""
    new = np.ones(len(starts), dtype=bool)
    if len(starts) < 2:
        return new
    new[1:] = starts[1:] != ends[:-1]
    for attribute in attributes:
        new[1:] |= attribute[1:] != attribute[:-1]
    return new


def last_of_runs(new: BoolArray) -> IntArray:
    """Index of the last piece of every run that `changes` found."""
    firsts = np.flatnonzero(new)
    return np.append(firsts[1:], len(new)) - 1 if len(firsts) else firsts


def paint(starts: IntArray, ends: IntArray, low: IntArray, high: IntArray) -> IntArray:
    """Which of several overlapping spans holds in each piece: the last one given; -1 where none does.

    Args:
        starts: Starts of the pieces, in order.
        ends: Ends of the pieces; no span may begin or end inside a piece.
        low: Starts of the spans, the strongest last.
        high: Ends of the spans.
    """
    winner = np.full(len(starts), -1, dtype=np.int64)
    first = np.searchsorted(starts, low, side="left")
    behind = np.searchsorted(ends, high, side="right")
    for number in range(len(low)):
        winner[first[number] : behind[number]] = number
    return winner
