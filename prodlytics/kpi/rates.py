"""Settings that change over time, as values at instants.

Belongs here: ideal cycles, plausible rates and thresholds of a machine in force at each of many instants. Does not
belong here: which part was being made.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from prodlytics.kpi import counters, spans
from prodlytics.plant.calendar import production_day
from prodlytics.plant.model import History, Machine, Plant
from prodlytics.plant.values import ALWAYS

FloatArray = npt.NDArray[np.float64]


def plausible_rate(plant: Plant, machine: Machine, at: spans.IntArray) -> FloatArray:
    """Most parts per second the machine can plausibly make at each instant; NaN where nobody said.

    Its own limit, else 1.5 times what the shortest ideal cycle of any part on it allows.
    """
    if machine.max_parts_per_s is not None:
        return np.full(len(at), machine.max_parts_per_s)
    return np.asarray(counters.HEADROOM * 1000.0 / ideal_cycle_ms(plant, machine, at, min), dtype=np.float64)


def ideal_cycle_ms(
    plant: Plant, machine: Machine, at: spans.IntArray, choose: Callable[[list[float]], float]
) -> FloatArray:
    """One ideal cycle in milliseconds at each instant, chosen among those of all parts on the machine; NaN for none."""
    histories = [part.ideal_cycle_time_ms[machine.id] for part in plant.parts if machine.id in part.ideal_cycle_time_ms]
    if machine.ideal_cycle_time_ms is not None:
        histories.append(machine.ideal_cycle_time_ms)
    return in_force(plant, histories, at, choose)


def in_force(
    plant: Plant, histories: list[History[float]], at: spans.IntArray, choose: Callable[[list[float]], float]
) -> FloatArray:
    """The chosen one of several effective-dated values at each instant (microseconds); NaN where none holds yet."""
    days = sorted({step.since for history in histories for step in history.steps} | {ALWAYS})
    edges = np.array([_opens(plant, day) for day in days], dtype=np.int64)
    held = [[value for history in histories if (value := history.on(day)) is not None] for day in days]
    values = np.array([choose(some) if some else np.nan for some in held])
    return np.asarray(values[np.searchsorted(edges, at, side="right") - 1], dtype=np.float64)


def _opens(plant: Plant, day: dt.date) -> int:
    """Start of a production day; the first of all days begins before everything."""
    return spans.MISSING if day <= ALWAYS else spans.instant_us(production_day(plant, day)[0])
