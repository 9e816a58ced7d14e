"""The pieces a machine made: when each cycle ended, and whether the piece was good.

Belongs here: cycles from running time, rejects and their causes. Does not belong here: how counters show them
(`counters.py`). Times are milliseconds since 1970 (UTC).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from prodlytics.simulator.timeline import Timeline

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

#: Why a piece was rejected; the place in this list is what `Cycles.cause` holds.
CAUSES = ("chance", "start_up", "tool_wear", "material")
#: Pieces after a changeover that are still being adjusted.
START_UP_PIECES = 8


class BadLot(NamedTuple):
    """Material that makes many rejects while it lasts."""

    begin: int
    end: int
    times: float


@dataclass(frozen=True)
class Cycles:
    """One row per finished cycle, in order of time."""

    time: Ints
    cycle_ms: Floats
    order: Ints
    reject: Flags
    cause: Ints
    "Place in CAUSES; -1 for a good piece."

    @property
    def good_until(self) -> Ints:
        """Good pieces so far, at each cycle's end."""
        return np.cumsum(~self.reject)

    @property
    def rejects_until(self) -> Ints:
        """Rejected pieces so far, at each cycle's end."""
        return np.cumsum(self.reject)

    def after(self, begin: int) -> Cycles:
        """Those that ended after `begin`."""
        which = self.time > begin
        return Cycles(self.time[which], self.cycle_ms[which], self.order[which], self.reject[which], self.cause[which])


def make(timeline: Timeline, bad_lots: list[BadLot], seed: tuple[int, ...]) -> Cycles:
    """The cycles of a timeline: a piece begun before a stop is finished after it."""
    rng = np.random.default_rng(seed)
    running = [stretch for stretch in timeline.stretches if stretch.cycle_ms > 0]
    begin = np.array([s.begin for s in running], dtype=np.int64)
    end = np.array([s.end for s in running], dtype=np.int64)
    cycle_ms = np.array([s.cycle_ms for s in running], dtype=np.float64)
    done = np.cumsum((end - begin) / cycle_ms) if running else np.zeros(0)
    count = int(done[-1] + 1e-6) if running else 0
    number = np.arange(1, count + 1, dtype=np.float64)
    # The tolerance is for orders, which end on a whole piece that a sum of floats misses by a hair.
    where = np.searchsorted(done + 1e-6, number, side="left")
    since = number - np.concatenate([[0.0], done[:-1]])[where] if count else number
    jitter = rng.uniform(-0.04, 0.04, count)
    exact = begin[where] + (since + jitter) * cycle_ms[where]
    # The last millisecond of a stretch already belongs to the next one.
    time = np.clip(np.rint(exact).astype(np.int64), begin[where] + 1, end[where] - 1)
    time = np.maximum.accumulate(time)
    order = np.array([s.order for s in running], dtype=np.int64)[where]
    wear0 = np.array([s.wear for s in running])[where]
    wear_per_ms = np.array([s.wear_per_ms for s in running])[where]
    share = np.array([s.scrap for s in running])[where]
    wear = wear0 + (time - begin[where]) * wear_per_ms
    place = _place_in_order(order)
    lot = np.ones(count)
    for bad in bad_lots:
        lot[(time >= bad.begin) & (time < bad.end)] = bad.times
    weights = np.stack([
        share,
        np.where(place < START_UP_PIECES, 0.18 * (1 - place / START_UP_PIECES), 0.0),
        share * 3.0 * np.clip(wear - 0.3, 0.0, None) ** 2 / 0.49,
        share * (lot - 1.0),
    ])  # fmt: skip
    total = weights.sum(axis=0)
    reject = rng.random(count) < np.minimum(total, 0.9)
    drawn = rng.random(count) * total
    cause = np.where(reject, (np.cumsum(weights, axis=0) < drawn).sum(axis=0), -1)
    # What counters and gateways call the actual cycle: from the last end to this one, stops left out.
    actual = cycle_ms[where] * rng.normal(1.0, 0.012, count)
    return Cycles(time, np.round(actual, 0), order, reject, cause.astype(np.int64))


def _place_in_order(order: Ints) -> Ints:
    """How many pieces of the same order came before each."""
    if not len(order):
        return order
    starts = np.flatnonzero(np.concatenate([[True], order[1:] != order[:-1]]))
    return np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
