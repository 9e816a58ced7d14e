"""The states of a machine, without a gap.

Belongs here: the timeline made of what sources say, of silence and of fault codes. Does not belong here: what a source
says (`state_sources`), stops and plan (`downtime_events`, `machine_time`), cutting at days (`days`).
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from prodlytics.kpi import spans
from prodlytics.kpi.alarms import is_clear
from prodlytics.kpi.derived import Derived, Refused, quarantined
from prodlytics.kpi.entries import in_force
from prodlytics.kpi.flaps import settled
from prodlytics.kpi.parts import read_counters, silences
from prodlytics.kpi.reach import STARTED_REACH, longest_work, looks
from prodlytics.kpi.samples import NOTHING, Tag, read_tags, words
from prodlytics.kpi.state_sources import Said, from_bookings, from_controller, from_counts
from prodlytics.plant.model import Machine, Plant

Spans = tuple[spans.IntArray, spans.IntArray]
NEVER: Spans = (NOTHING.time, NOTHING.time)


def derive_machine_states(
    plant: Plant,
    machine: Machine,
    samples: pd.DataFrame,
    gaps: pd.DataFrame,
    entries: pd.DataFrame,
    start: dt.datetime,
    end: dt.datetime,
    cover_until: dt.datetime,
    as_of: dt.datetime,
) -> Derived:
    """States of one machine from `start` to `cover_until`, every instant in exactly one row.

    Args:
        plant: Ideal cycles and production days, for machines that only count.
        machine: Where its state comes from.
        samples: `time, metric_name, native_code, value, value_text, quality` of its state, duration and fault tags (of
            its counters where the source is counts), sorted by time: all in the window widened by `reach.looks`;
            before it those since the state in force began, however old; after it a few, since durations and late
            fault codes reach back.
        gaps: `starts_at, ends_at` of the spans in which nothing at all was heard of the machine (NaT: still so).
            They are unknown, whatever was said before; afterwards the state of before holds until another is reported.
            Sources that speak of their own time, durations and bookings, are not silenced.
        entries: Rows of `operator_entries` with the undos that concern them, of the window widened likewise.
        start: Aware, included.
        end: Aware, excluded: the window asked for.
        cover_until: Aware; how far the timeline is told, at most `end`.
        as_of: What was known; stored with each row.

    Returns:
        Rows of `machine_states` without generated columns, in order. Equal neighbours are one row. `state_started_at`
        is earlier than `starts_at` where a state reaches in from before. `is_open`: the last row of a window that is
        not told to its end. Refused: native states without a translation, each once.

    Raises:
        ValueError: Times carry no zone.
    """
    low, high = spans.instant_us(start), spans.instant_us(cover_until)
    tags = read_tags(samples)
    # Told further than asked, so that what lies behind the edge (a fault's code) is seen from before it.
    ahead = looks(plant, machine)[1]
    until = max([high, *(int(tag.time[-1]) for tag in tags.values())])
    # That nothing more was said for so long after the window is known as well.
    until = max(until, min(high + ahead // spans.MICROSECOND, spans.instant_us(as_of)))
    said, refused, silent = _said(plant, machine, tags, entries, gaps, until, (low, spans.instant_us(end)))
    # What nobody has said anything about has been unknown for as long as one looks.
    unknown_since = low - STARTED_REACH // spans.MICROSECOND
    since = min([unknown_since, *said.start[:1].tolist(), *silent[0][:1].tolist()])
    begins, ends = spans.cut(since, until, [said.start, said.end, *silent, _fault_times(machine, tags)])
    which = spans.covering(said.start, said.end, begins)
    which[spans.covering(*silent, begins) >= 0] = -1
    state, native = spans.pick(said.state, which), spans.pick(said.native, which)
    state[which < 0] = "unknown"
    if machine.state.settle_s is not None:
        state, native = settled(begins, ends, state, native, round(machine.state.settle_s * 1e6))
    fault = _fault_codes(machine, tags, begins, ends, state)

    new = spans.changes(begins, ends, [spans.codes(state), spans.codes(native), spans.codes(fault)])
    began, ended = begins[new], ends[spans.last_of_runs(new)]
    state, native, fault = state[new], native[new], fault[new]
    shown = (ended > low) & (began < high)
    began, ended = began[shown], ended[shown]
    state, native, fault = state[shown], native[shown], fault[shown]
    is_open = np.zeros(len(began), dtype=bool)
    is_open[-1:] = cover_until < end
    rows = pd.DataFrame(
        {
            "machine_id": np.full(len(began), machine.id, dtype=object),
            "starts_at": spans.from_us(np.maximum(began, low)),
            "ends_at": spans.from_us(np.minimum(ended, high)),
            "state": state,
            "native_state": native,
            "fault_code": fault,
            "state_started_at": spans.from_us(began),
            "is_open": is_open,
            "as_of": spans.from_us(np.full(len(began), spans.instant_us(as_of), dtype=np.int64)),
        }
    )
    return Derived(rows, quarantined(machine.id, refused))


def _said(
    plant: Plant,
    machine: Machine,
    tags: dict[str, Tag],
    entries: pd.DataFrame,
    gaps: pd.DataFrame,
    until: int,
    window: tuple[int, int],
) -> tuple[Said, list[Refused], Spans]:
    """What the machine's source says, what it said that cannot be used, and when it was silent."""
    source = machine.state
    if source.source == "operator":
        return from_bookings(in_force(entries)), [], NEVER
    silent = silences(machine, tags, gaps)
    if source.source == "counts":
        series, _ = read_counters(plant, machine, machine.counters, tags, np.inf)
        work_us = longest_work(plant, machine) // spans.MICROSECOND
        return from_counts(plant, machine, series, until, work_us), [], silent
    said, refused = from_controller(machine, tags, until, window)
    return said, refused, silent if source.duration_metric is None else NEVER


def _fault_times(machine: Machine, tags: dict[str, Tag]) -> spans.IntArray:
    return tags.get(machine.fault_metric or "", NOTHING).time


def _fault_codes(
    machine: Machine, tags: dict[str, Tag], begins: spans.IntArray, ends: spans.IntArray, state: spans.ObjectArray
) -> spans.ObjectArray:
    """The code of each piece that is in fault, None elsewhere.

    A controller may show the code a moment after the state, and clear it before the state ends: the first code of a
    fault holds from its start, the last to its end.
    """
    tag = tags.get(machine.fault_metric or "", NOTHING)
    code = words(tag)
    usable = tag.good & ~spans.missing(code)
    time, code = tag.time[usable], code[usable]
    shown = np.flatnonzero(~is_clear(code))
    out = np.full(len(begins), None, dtype=object)
    pieces = np.flatnonzero(state == "fault")
    if not len(shown) or not len(pieces):
        return out
    new = spans.changes(begins[pieces], ends[pieces], [])
    run = np.cumsum(new) - 1
    run_start, run_end = begins[pieces][new][run], ends[pieces][spans.last_of_runs(new)][run]
    at = begins[pieces]
    after = np.searchsorted(time[shown], at, side="right")
    last = np.maximum(after - 1, 0)
    still_shown = shown[last] == np.searchsorted(time, at, side="right") - 1
    has_last = (after > 0) & (still_shown | (time[shown[last]] >= run_start))
    following = np.minimum(after, len(shown) - 1)
    has_next = (after < len(shown)) & (time[shown[following]] < run_end)
    chosen = np.where(has_last, shown[last], np.where(has_next, shown[following], -1))
    out[pieces] = spans.pick(code, chosen)
    return out
