"""Tags over time: the change-only ones.

Belongs here: the series type, counters as controllers hold them, states, faults, tools. Does not belong here: sensors
(`signals.py`), what goes wrong on the way to us (`mishaps.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prodlytics.plant.model import Counter, Machine
from prodlytics.simulator.cycles import Cycles, Floats, Ints
from prodlytics.simulator.timeline import Timeline

#: The gateway sends a counter at most this often; whole hours are whole multiples of it.
COUNTER_EVERY_MS = 20_000


@dataclass(frozen=True)
class Series:
    """One tag of one machine: times (ms since 1970, rising), values, or texts where the tag is a text."""

    machine: str
    metric: str
    time: Ints
    value: Floats
    text: npt.NDArray[np.object_] | None = None

    def picked(self, which: npt.NDArray[np.bool_] | slice) -> Series:
        """Some of the samples."""
        text = None if self.text is None else self.text[which]
        return Series(self.machine, self.metric, self.time[which], self.value[which], text)


def counters(
    machine: Machine, cycles: Cycles, begin: int, starts: dict[str, int], reset_at: int | None
) -> list[Series]:
    """The machine's counters: sent when they changed, with the time of the change.

    Args:
        machine: Which counters, how wide, good or reject.
        cycles: What they count.
        begin: When the gateway starts and sends everything once.
        starts: Metric to the count the controller held at `begin`.
        reset_at: When the controller lost its counts, if it did; it then sends 0.
    """
    rejects = cycles.rejects_until
    made = np.arange(1, len(cycles.time) + 1)
    counted = {"good": made - rejects, "reject": rejects, "total": made, "cycles": made}
    return [
        _counter(machine, counter, cycles.time, counted[counter.counts], begin, starts[counter.metric], reset_at)
        for counter in machine.counters
        if counter.counts in counted
    ]


def _counter(
    machine: Machine, counter: Counter, time: Ints, count: Ints, begin: int, start: int, reset_at: int | None
) -> Series:
    changed = np.flatnonzero(np.diff(count, prepend=0) > 0)
    time, count = time[changed], count[changed]
    slot = time // COUNTER_EVERY_MS
    last = np.append(slot[1:] != slot[:-1], True) if len(slot) else np.zeros(0, dtype=bool)
    times = np.concatenate([[begin], time[last]])
    held = np.concatenate([[0], count[last]]) + start
    if reset_at is not None:
        before = times < reset_at
        lost = int(held[before][-1])
        times = np.concatenate([times[before], [reset_at], times[~before]])
        held = np.concatenate([held[before], [0], held[~before] - lost])
    return Series(machine.id, counter.metric, times, _wrapped(held, counter).astype(np.float64))


def _wrapped(held: Ints, counter: Counter) -> Ints:
    """What a register of the counter's width shows."""
    if counter.width_bits is None or counter.width_bits == 64:
        return held
    size = 1 << counter.width_bits
    shown = held % size
    return np.where(shown >= size // 2, shown - size, shown) if counter.signed else shown


def counter_starts(machine: Machine, rng: np.random.Generator) -> dict[str, int]:
    """What the counters held before: narrow ones are close to rolling over."""
    starts = {}
    for counter in machine.counters:
        narrow = counter.width_bits is not None and counter.width_bits <= 16
        if narrow and counter.counts != "reject":
            size = 1 << (counter.width_bits or 16)
            starts[counter.metric] = size - int(rng.integers(200, min(1800, size // 2) + 200))
        else:
            starts[counter.metric] = int(rng.integers(500, 2_000 if counter.counts == "reject" else 60_000))
    return starts


def states(machine: Machine, timeline: Timeline) -> list[Series]:
    """The controller's state in its own words, and its fault code."""
    words: dict[str, str] = {}
    for word, meaning in machine.state.map.items():
        words.setdefault(meaning, word)
    begin = np.array([s.begin for s in timeline.stretches], dtype=np.int64)
    said = np.array([words.get(s.state, s.state) for s in timeline.stretches], dtype=object)
    series = [_changes(machine.id, machine.state.metric, begin, said)]
    if machine.fault_metric is not None:
        code = np.array([float(s.fault) for s in timeline.stretches])
        changed = np.flatnonzero(np.diff(code, prepend=-1.0) != 0)
        series.append(Series(machine.id, machine.fault_metric, begin[changed], code[changed]))
    return series


def _changes(machine: str, metric: str, time: Ints, said: npt.NDArray[np.object_]) -> Series:
    """A tag sent when it changes: as a number where all its words are numbers."""
    changed = np.concatenate([[True], said[1:] != said[:-1]]).astype(bool)
    time, said = time[changed], said[changed]
    try:
        return Series(machine, metric, time, said.astype(np.float64))
    except ValueError:
        return Series(machine, metric, time, np.full(len(time), np.nan), said)


def cycle_times(machine: Machine, cycles: Cycles, counted: Ints) -> Series | None:
    """The last cycle's length, sent together with the cycle counter."""
    if machine.cycle_time_metric is None:
        return None
    where = np.searchsorted(cycles.time, counted, side="right") - 1
    known = where >= 0
    return Series(machine.id, machine.cycle_time_metric, counted[known], cycles.cycle_ms[where[known]])


def tools(machine: Machine, timeline: Timeline, begin: int, end: int) -> Series:
    """The tool in use, as a text."""
    changes = [(begin, 0), *((at, tool) for at, tool in timeline.tool_changes if begin < at < end)]
    time = np.array([at for at, _ in changes], dtype=np.int64)
    text = np.array([tool_name(machine, tool) for _, tool in changes], dtype=object)
    return Series(machine.id, "ToolID", time, np.full(len(time), np.nan), text)


def tool_name(machine: Machine, tool: int) -> str:
    """What the controller calls the n-th tool of the story."""
    return f"T{machine.id[:1].upper()}{machine.id[-2:]}-{1000 + tool}"


def targets(machine: Machine, timeline: Timeline, ideal: list[float]) -> Series:
    """The cycle the program aims at; `ideal` is that of each order."""
    first: dict[int, int] = {}
    for stretch in timeline.stretches:
        first.setdefault(stretch.order, stretch.begin)
    orders = sorted(first)
    time = np.array([first[order] for order in orders], dtype=np.int64)
    value = np.array([ideal[order] for order in orders], dtype=np.float64)
    changed = np.diff(value, prepend=-1.0) != 0
    return Series(machine.id, "CycleTimeTarget_ms", time[changed], value[changed])


def refreshed(series: Series, at: Ints) -> Series:
    """The series with its value of the moment sent again at the given times, as a gateway does when it starts."""
    at = np.setdiff1d(at, series.time)
    at = at[at > series.time[0]] if len(series.time) else at
    held = np.searchsorted(series.time, at, side="right") - 1
    time = np.concatenate([series.time, at])
    place = np.argsort(time, kind="stable")
    value = np.concatenate([series.value, series.value[held]])[place]
    text = None if series.text is None else np.concatenate([series.text, series.text[held]])[place]
    return Series(series.machine, series.metric, time[place], value, text)
