"""What the sensors of a machine show.

Belongs here: temperature, vibration, power and speed from what the machine does, how worn its tool is and what is
about to break. Does not belong here: tags that only change with events (`series.py`).
"""

from __future__ import annotations

import numpy as np

from prodlytics.plant.model import Machine
from prodlytics.simulator.catalogue import Signal
from prodlytics.simulator.cycles import Flags, Floats, Ints
from prodlytics.simulator.series import Series
from prodlytics.simulator.timeline import Timeline

#: How often a sensor of a standing machine is sent, in milliseconds: the temperature and the others.
IDLE_EVERY_MS, REST_EVERY_MS = 60_000, 300_000
AMBIENT_C = 22.0
_HEAT_MS = {"running": 25 * 60_000, "other": 50 * 60_000}


def sample_times(timeline: Timeline, every_ms: int, phase: int) -> tuple[Ints, Ints]:
    """Times at which all sensors are sent, and times at which only the temperature is.

    The first are each `every_ms` while running and each five minutes else, the second each minute while not running.
    """
    begin, end = timeline.stretches[0].begin, timeline.stretches[-1].end
    often = np.arange(begin + phase, end, every_ms, dtype=np.int64)
    seldom = np.arange(begin + phase, end, REST_EVERY_MS, dtype=np.int64)
    minutes = np.arange(begin + phase + 1_000, end, IDLE_EVERY_MS, dtype=np.int64)
    runs = _running(timeline)
    full = np.concatenate([often[runs[_at(timeline, often)]], seldom[~runs[_at(timeline, seldom)]]])
    return np.sort(full), minutes[~runs[_at(timeline, minutes)]]


def sample_count(timeline: Timeline) -> tuple[int, int]:
    """Milliseconds running and not running, to choose how often to sample."""
    running = sum(s.end - s.begin for s in timeline.stretches if s.state == "running")
    return running, timeline.stretches[-1].end - timeline.stretches[0].begin - running


def sensors(machine: Machine, timeline: Timeline, every_ms: int, seed: tuple[int, ...]) -> list[Series]:
    """The sensor tags of a machine, rounded as the controller rounds them."""
    rng = np.random.default_rng(seed)
    full, extra = sample_times(timeline, every_ms, int(rng.integers(0, 15_000)))
    both = np.sort(np.concatenate([full, extra]))
    series = [Series(machine.id, "Temperature_C", both, _temperature(timeline, both, rng))]
    where = _at(timeline, full)
    runs = _running(timeline)[where]
    wear = _wear(timeline, full, where)
    series.append(Series(machine.id, "Power_kW", full, _power(timeline, full, runs, wear, where, rng)))
    limits = machine.vibration_limits
    if limits is not None:
        level = np.where(runs, limits.ab_mms * rng.uniform(0.55, 0.8) * (1.0 + 0.9 * np.clip(wear, 0, 1.2) ** 2), 0.02)
        level += np.where(runs, (limits.bc_mms - limits.ab_mms) * _omen(timeline, full, "vibration"), 0.0)
        shown = np.asarray(np.round(np.abs(level * rng.normal(1.0, 0.07, len(full))), 2), dtype=np.float64)
        series.append(Series(machine.id, "Vibration_Velocity_mms", full, shown))
        order = np.array([s.order for s in timeline.stretches])[where]
        rated = 400.0 * rng.integers(2, 6) + 150.0 * (order % 4)
        turns = np.where(runs, rated + rng.normal(0.0, 4.0, len(full)), 0.0)
        rpm = np.asarray(np.round(turns), dtype=np.float64)
        series.append(Series(machine.id, "SpindleSpeed_RPM", full, rpm))
    return series


def _at(timeline: Timeline, time: Ints) -> Ints:
    """The stretch in which each time lies."""
    begins = np.array([s.begin for s in timeline.stretches], dtype=np.int64)
    return np.asarray(np.searchsorted(begins, time, side="right") - 1, dtype=np.int64)


def _running(timeline: Timeline) -> Flags:
    return np.array([s.state == "running" for s in timeline.stretches], dtype=bool)


def _wear(timeline: Timeline, time: Ints, where: Ints) -> Floats:
    begin = np.array([s.begin for s in timeline.stretches], dtype=np.int64)[where]
    wear = np.array([s.wear for s in timeline.stretches])[where]
    pace = np.array([s.wear_per_ms for s in timeline.stretches])[where]
    return np.asarray(wear + (time - begin) * pace, dtype=np.float64)


def _omen(timeline: Timeline, time: Ints, signal: Signal) -> Floats:
    """How far a drift has come at each time: 0 without one, rising to its strength when the fault strikes."""
    level = np.zeros(len(time))
    for omen in timeline.omens:
        if omen.signal == signal:
            first, last = np.searchsorted(time, [omen.begin, omen.end])
            level[first:last] += omen.strength * (time[first:last] - omen.begin) / max(omen.end - omen.begin, 1)
    return level


def _temperature(timeline: Timeline, time: Ints, rng: np.random.Generator) -> Floats:
    """First order towards a level that depends on the state, stretch by stretch."""
    warm = float(rng.uniform(54.0, 66.0))
    levels = {"running": warm, "fault": warm - 18, "idle": warm - 14, "setup": warm - 16, "off": AMBIENT_C}
    count = len(timeline.stretches)
    begins, starts, goals, pace = np.empty(count), np.empty(count), np.empty(count), np.empty(count)
    now = AMBIENT_C
    for i, stretch in enumerate(timeline.stretches):
        goal = levels.get(stretch.state, warm - 15)
        tau = _HEAT_MS["running" if stretch.state == "running" else "other"]
        begins[i], starts[i], goals[i], pace[i] = stretch.begin, now, goal, tau
        now = goal + (now - goal) * float(np.exp(-(stretch.end - stretch.begin) / tau))
    where = _at(timeline, time)
    level = goals[where] + (starts[where] - goals[where]) * np.exp(-(time - begins[where]) / pace[where])
    level += 16.0 * _omen(timeline, time, "temperature") * _running(timeline)[where]
    hour = time % 86_400_000 / 86_400_000
    level += 1.2 * np.sin(2 * np.pi * (hour - 0.6))
    return np.asarray(np.round(level + rng.normal(0.0, 0.25, len(time)), 1), dtype=np.float64)


def _power(timeline: Timeline, time: Ints, runs: Flags, wear: Floats, where: Ints, rng: np.random.Generator) -> Floats:
    rated = float(rng.uniform(6.0, 22.0))
    off = np.array([s.state == "off" for s in timeline.stretches], dtype=bool)[where]
    level = np.where(runs, rated * (1.0 + 0.12 * np.clip(wear, 0, 1.2)), rated * 0.18)
    level = np.where(off, 0.1, level)
    level += np.where(runs, rated * 0.45 * _omen(timeline, time, "power"), 0.0)
    return np.asarray(np.round(level * rng.normal(1.0, 0.04, len(time)), 2), dtype=np.float64)
