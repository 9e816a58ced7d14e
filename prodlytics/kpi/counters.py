"""Counter readings to parts.

Belongs here: what one reading of a counter says about the parts made since the reading before, as numpy arrays. Does
not belong here: which tag counts what, orders, events (`production_events`).

A counter runs up, rolls over at its width, is set back to zero, is read wrongly or late. Each reading is judged from
its neighbourhood alone: at most `REACH` readings back and `AHEAD` ahead. A day computed with that much context
therefore says the same about its readings as a year computed at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

#: Readings before and after a window that decide what the readings in it mean.
REACH = 15
AHEAD = 5
#: Readings around a wrong one that may show it to be wrong.
NEAR = 5
#: Factor between the ideal rate and the plausible one (`rate` contains it already).
HEADROOM = 1.5
SECOND = 1_000_000


class Kind(IntEnum):
    """What a reading is. Only `COUNTED`, `ROLLOVER` and `RESET` make parts."""

    BASELINE = 0
    "The first reading: nothing to compare with."
    COUNTED = 1
    ROLLOVER = 2
    "The counter passed its largest value and went on from its smallest."
    RESET = 3
    "The counter was set to zero; what it shows was made since then."
    LATE = 4
    "A value of before that came after a newer one, or a short drop: ignored."
    SPIKE = 5
    "More than the machine can make, and gone again in the next readings: ignored."
    JUMP = 6
    "More than the machine can make, and it stayed: counting goes on from here."
    SET_BACK = 7
    "Lower than before, but not by a reset: counting goes on from here."
    NEGATIVE = 8
    "An increment below nothing: ignored."


@dataclass(frozen=True)
class Counts:
    """What each reading says, in the order of the readings.

    Attributes:
        parts: Parts made since the reading `before`; 0 where the kind makes none.
        kind: `Kind` of each reading.
        before: Index of the reading it was compared with, -1 for none.
    """

    parts: FloatArray
    kind: npt.NDArray[np.int8]
    before: IntArray


@dataclass(frozen=True)
class Readings:
    """Good readings of one counter.

    Attributes:
        time: Microseconds, ascending, each once.
        value: What the counter showed.
        rate: Most parts per second that are plausible at each reading; NaN where nobody knows.
        modulus: How many values the counter has before it starts over; None where it never does.
    """

    time: IntArray
    value: FloatArray
    rate: FloatArray
    modulus: float | None = None


def value_range(width_bits: int | None, signed: bool) -> tuple[float, float]:
    """Smallest value a counter of this width shows, and the first it cannot show."""
    if width_bits is None:
        return (-np.inf, np.inf) if signed else (0.0, np.inf)
    size = float(2**width_bits)
    return (-size / 2, size / 2) if signed else (0.0, size)


def most_parts(elapsed: IntArray, rate: FloatArray) -> FloatArray:
    """Most parts that can plausibly be counted in `elapsed` microseconds; NaN where no rate is known.

    The part that was nearly done when the time began is counted in it, so a short time has room for one. Less than a
    second is taken as one: clocks of controllers are no better.
    """
    seconds = elapsed / SECOND
    whole_cycles = np.floor(seconds * rate / HEADROOM + 1e-9) + 1
    return np.asarray(np.maximum(whole_cycles, np.maximum(seconds, 1.0) * rate), dtype=np.float64)


def count_increments(readings: Readings) -> Counts:
    """Parts of a tag that says how many were made since its reading before.

    Returns:
        Every value is its own count. One below zero is `NEGATIVE`, one above what is plausible `JUMP`.
    """
    before = np.arange(-1, len(readings.time) - 1, dtype=np.int64)
    limit = np.full(len(before), np.nan)
    limit[1:] = most_parts(np.diff(readings.time), readings.rate[1:])
    kind = np.full(len(before), Kind.COUNTED, dtype=np.int8)
    kind[readings.value > limit] = Kind.JUMP
    kind[readings.value < 0] = Kind.NEGATIVE
    return Counts(np.where(kind == Kind.COUNTED, readings.value, 0.0), kind, before)


def count_cumulative(readings: Readings) -> Counts:
    """Parts of a counter that runs up, by the rules of `Kind`."""
    count = len(readings.time)
    every = np.arange(count, dtype=np.int64)
    raw_parts, raw_kind = _step(readings, every[:-1], every[1:])
    wrong = _wrong_readings(readings, raw_kind)
    before = _compared_with(wrong >= 0)
    parts = np.zeros(count)
    kind = np.full(count, Kind.BASELINE, dtype=np.int8)
    parts[1:], kind[1:] = raw_parts, raw_kind
    # Only readings after a wrong one are compared with another than their neighbour.
    again = np.flatnonzero((before >= 0) & (before != every - 1))
    parts[again], kind[again] = _step(readings, before[again], again)
    kind[wrong >= 0] = wrong[wrong >= 0]
    parts[wrong >= 0] = 0.0
    return Counts(parts, kind, before)


def _step(readings: Readings, a: IntArray, b: IntArray) -> tuple[FloatArray, npt.NDArray[np.int8]]:
    """Parts and kind of the steps from readings `a` to later readings `b`, taken by themselves."""
    old, new = readings.value[a], readings.value[b]
    rise = new - old
    # A value that is sent again may be an old one from a cache: parts had time since it was first shown.
    limit = most_parts(readings.time[b] - _first_shown(readings, a), readings.rate[b])
    unknown = np.isnan(limit)
    kind = np.full(len(a), Kind.COUNTED, dtype=np.int8)
    rolled = np.zeros(len(a))
    can_roll = np.zeros(len(a), dtype=bool)
    highest = np.where(unknown, np.inf, limit)
    if readings.modulus is not None:
        modulus = readings.modulus
        rolled = rise + modulus
        between = most_parts(readings.time[b] - readings.time[a], readings.rate[b])
        # Where a long time leaves room for half the counter, the rate says nothing: only near the edge it rolled over.
        says_nothing = unknown | (between > modulus / 2)
        can_roll = rolled <= np.where(says_nothing, modulus / 4, np.minimum(limit, modulus / 2))
        highest = np.where(unknown, modulus / 4, limit)
    kind[rise > highest] = Kind.JUMP
    fell = rise < 0
    kind[fell] = Kind.SET_BACK
    can_reset = (new >= 0) & (new <= np.where(unknown, np.maximum(old, 0) / 2, limit))
    kind[fell & can_reset] = Kind.RESET
    kind[fell & can_roll] = Kind.ROLLOVER
    parts = np.where(kind == Kind.ROLLOVER, rolled, np.where(kind == Kind.RESET, new, rise))
    return np.where(np.isin(kind, (Kind.COUNTED, Kind.ROLLOVER, Kind.RESET)), parts, 0.0), kind


def _first_shown(readings: Readings, at: IntArray) -> IntArray:
    """When the value of each reading was first shown, as far as the `NEAR` readings before it say."""
    first = at.copy()
    for _ in range(NEAR):
        same = (first > 0) & (readings.value[np.maximum(first - 1, 0)] == readings.value[at])
        first = np.where(same, first - 1, first)
    return readings.time[first]


def _wrong_readings(readings: Readings, step: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """`LATE` or `SPIKE` for readings that the next ones show to be wrong, -1 for all others.

    A run of wrong readings lies between two trusted ones that fit each other. The first must follow ordinarily from
    its own neighbour: otherwise nobody could say which of two levels is the wrong one.
    """
    wrong = np.full(len(readings.time), -1, dtype=np.int8)
    odd = np.flatnonzero(step != Kind.COUNTED)
    for first in (odd + 1).tolist():
        last = first - 1
        if last > 0 and step[last - 1] != Kind.COUNTED:
            continue
        for after in range(first + 1, min(last + NEAR, len(wrong) - 1) + 1):
            verdict = _verdict(readings, step, last, after)
            if verdict is not None:
                wrong[first:after] = verdict
                break
    return wrong


def _verdict(readings: Readings, step: npt.NDArray[np.int8], last: int, after: int) -> Kind | None:
    """What the readings between `last` and `after` are if those two fit each other; None if they say nothing."""
    value = readings.value
    between = value[last + 1 : after]
    fits = _step(readings, np.array([last]), np.array([after]))[1][0] == Kind.COUNTED
    if not fits:
        return None
    if (between > value[after]).all() and step[last] == Kind.JUMP:
        return Kind.SPIKE
    if not (between < value[last]).all():
        return None
    if step[last] == Kind.SET_BACK or step[after - 1] == Kind.JUMP:
        return Kind.LATE
    return Kind.LATE if np.isnan(readings.rate[after]) and _came_back(value, last, after) else None


def _came_back(value: FloatArray, last: int, after: int) -> bool:
    """Without a known rate: whether a drop was undone in one step, to within a tenth of its depth."""
    depth = value[last] - value[last + 1]
    climb = value[after] - value[after - 1]
    return bool(depth >= 10 and value[after] - value[last] <= depth / 10 and 2 * climb > depth)


def _compared_with(wrong: BoolArray) -> IntArray:
    """Index of the last reading before each that is not wrong, at most `NEAR` back; else of its neighbour."""
    every = np.arange(len(wrong), dtype=np.int64)
    right = np.maximum.accumulate(np.where(wrong, -1, every)) if len(wrong) else every
    before = np.full(len(wrong), -1, dtype=np.int64)
    before[1:] = right[:-1]
    too_far = (every > 0) & ((before < 0) | (every - before > NEAR))
    return np.where(too_far, every - 1, before)
