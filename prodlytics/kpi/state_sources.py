"""What each kind of source says about the state of a machine, as spans.

Belongs here: controller states, "so long in this state", counts, bookings. Does not belong here: silence, fault codes
and the gapless timeline that is made of it (`machine_states`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from prodlytics.kpi import rates, spans
from prodlytics.kpi.bookings import said_spans
from prodlytics.kpi.derived import Refused
from prodlytics.kpi.parts import Series
from prodlytics.kpi.samples import NOTHING, Tag, words
from prodlytics.plant.model import Machine, Plant

#: Ideal cycles without a count after which a machine that should be counting is idle.
CYCLES_WITHOUT_COUNT = 3


@dataclass(frozen=True)
class Said:
    """Spans in which the state is known, in order, without overlap; microseconds since 1970 UTC."""

    start: spans.IntArray
    end: spans.IntArray
    state: spans.ObjectArray
    native: spans.ObjectArray
    "The controller's own word; None where no controller speaks."


def from_controller(
    machine: Machine, tags: dict[str, Tag], until: int, window: tuple[int, int]
) -> tuple[Said, list[Refused]]:
    """States a controller reports: each holds until the next sample, the last until `until`.

    A sample of bad quality or without a value says nothing. A word that is not in the map is unknown, and refused at
    its first appearance in the window.
    """
    tag = tags.get(machine.state.metric, NOTHING)
    native = words(tag)
    native[~tag.good] = None
    state, refused = _translated(machine, tag.time, native, window)
    said = ~spans.missing(native)
    if machine.state.duration_metric is not None:
        start, end = _durations(tag, tags.get(machine.state.duration_metric, NOTHING))
        said &= end > start
        # What was reported later holds where two spans overlap; a span ends when it is reported.
        from_the_end = np.where(said, start, spans.FOREVER)[::-1]
        later: spans.IntArray = np.minimum.accumulate(from_the_end)[::-1]
        end = np.minimum(end, np.append(later, spans.FOREVER)[1:])
    else:
        start, end = tag.time, np.append(tag.time, until)[1:]
    said &= end > start
    return Said(start[said], end[said], state[said], native[said]), refused


def _translated(
    machine: Machine, time: spans.IntArray, native: spans.ObjectArray, window: tuple[int, int]
) -> tuple[spans.ObjectArray, list[Refused]]:
    """State of each native word, and the words of the window that nobody translated, once each."""
    number, distinct = pd.factorize(native)
    meanings = [machine.state.map.get(word) for word in distinct]
    inside = (time >= window[0]) & (time < window[1])
    refused = []
    for position, meaning in enumerate(meanings):
        seen = np.flatnonzero(inside & (number == position))
        if meaning is None and len(seen):
            refused.append(_untranslated(machine, str(distinct[position]), int(time[seen[0]])))
    # No word at all is number -1: the last place.
    states = np.array([*(meaning or "unknown" for meaning in meanings), "unknown"], dtype=object)
    return states[number], refused


def _untranslated(machine: Machine, word: str, at: int) -> Refused:
    metric = machine.state.metric
    return Refused(
        at,
        "unmapped_state",
        f"{metric} said {word!r}, which the state map of {machine.id} does not have; the state is unknown meanwhile",
        {"metric": metric, "value": word},
    )


def _durations(tag: Tag, lengths: Tag) -> tuple[spans.IntArray, spans.IntArray]:
    """The span each state sample speaks of: the seconds before it that the second tag of the same time gives."""
    measured = lengths.measured
    time, seconds = lengths.time[measured], lengths.value[measured]
    place = np.searchsorted(time, tag.time)
    found = place < len(time)
    found[found] = time[place[found]] == tag.time[found]
    length = np.zeros(len(tag.time), dtype=np.int64)
    length[found] = np.rint(np.maximum(seconds[place[found]], 0.0) * 1e6).astype(np.int64)
    return tag.time - length, tag.time


def from_counts(
    plant: Plant, machine: Machine, series: list[Series], until: int, longest_work_us: float = np.inf
) -> Said:
    """States of a machine that only counts: running while counts arrive, idle when they stay away.

    A pause longer than both the micro-stop threshold and three ideal cycles is idle from the last count on, up to the
    cycles that made the next ones: parts need time to be made, at most `longest_work_us`.
    """
    started = [one.time[0] for one in series if len(one.time)]
    if not started:
        return Said(NOTHING.time, NOTHING.time, NOTHING.text, NOTHING.text)
    made = [one.parts > 0 for one in series]
    at = np.concatenate([one.time[rows] for one, rows in zip(series, made, strict=True)])
    parts = np.concatenate([one.parts[rows] for one, rows in zip(series, made, strict=True)])
    cycle_us = rates.ideal_cycle_ms(plant, machine, at, max) * 1000.0
    needed = np.nan_to_num(parts * cycle_us, nan=0.0)
    # The first reading is where counting began to be watched.
    at, needed = np.append(at, min(started)), np.append(needed, 0.0)
    count, which = np.unique(at, return_inverse=True)
    working = np.zeros(len(count))
    np.maximum.at(working, which, needed)
    end = np.append(count[1:], max(until, int(count[-1])))
    pause = end - count > longest_pause_us(plant, machine, count)
    # Nobody knows yet which part the machine is working on since its last count.
    worked = np.minimum(np.append(working[1:], 0.0), longest_work_us)
    resumed = np.where(pause, np.maximum(end - worked, count), count).astype(np.int64)
    start, stop = np.column_stack([count, resumed]).ravel(), np.column_stack([resumed, end]).ravel()
    state = np.tile(np.array(["idle", "running"], dtype=object), len(count))
    kept = stop > start
    return Said(start[kept], stop[kept], state[kept], np.full(int(kept.sum()), None, dtype=object))


def longest_pause_us(plant: Plant, machine: Machine, at: spans.IntArray) -> rates.FloatArray:
    """How long a machine that only counts may be without a count, at each instant, before it is idle."""
    cycles = CYCLES_WITHOUT_COUNT * rates.ideal_cycle_ms(plant, machine, at, max) * 1000.0
    micro_stop = rates.in_force(plant, [machine.micro_stop_s], at, max) * 1e6
    return np.asarray(np.fmax(cycles, micro_stop), dtype=np.float64)


def from_bookings(entries: pd.DataFrame) -> Said:
    """States of a machine without a controller: running while someone booked parts, idle where someone gave a reason.

    Bookings may overlap; where a booking and a reason do, the machine ran.
    """
    ran, stopped = said_spans(entries, "production"), said_spans(entries, "reason")
    edges = np.unique(np.concatenate([*ran, *stopped]))
    start, end = edges[:-1], edges[1:]
    is_running, is_idle = _inside(start, ran), _inside(start, stopped)
    state = np.where(is_running, "running", "idle").astype(object)
    kept = is_running | is_idle
    return Said(start[kept], end[kept], state[kept], np.full(int(kept.sum()), None, dtype=object))


def _inside(at: spans.IntArray, some: tuple[spans.IntArray, spans.IntArray]) -> spans.BoolArray:
    """Whether each instant is in any of several spans that may overlap."""
    begun = np.searchsorted(np.sort(some[0]), at, side="right")
    over = np.searchsorted(np.sort(some[1]), at, side="right")
    return np.asarray(begun > over, dtype=bool)
