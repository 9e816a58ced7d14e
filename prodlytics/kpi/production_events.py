"""Samples and bookings to production events.

Belongs here: which tag makes which event, and what the row says of it. Does not belong here: what a counter reading
means (`counters`, `parts`), when an alarm begins (`alarms`), which reason a reject has (`scrap_events`).
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import numpy.typing as npt
import pandas as pd

from prodlytics.kpi import spans
from prodlytics.kpi.alarms import alarm_events
from prodlytics.kpi.bookings import booked_events
from prodlytics.kpi.counters import Kind
from prodlytics.kpi.derived import Derived, quarantined
from prodlytics.kpi.entries import in_force
from prodlytics.kpi.events import EVENT_OF, Events, as_frame
from prodlytics.kpi.parts import Series, complemented, reaches_into, read_counters, silences
from prodlytics.kpi.samples import NOTHING, Tag, read_tags
from prodlytics.plant.model import Machine, Plant

Spans = tuple[spans.IntArray, spans.IntArray]


def derive_production_events(
    plant: Plant,
    machine: Machine,
    samples: pd.DataFrame,
    orders: pd.DataFrame,
    entries: pd.DataFrame,
    start: dt.datetime,
    end: dt.datetime,
    as_of: dt.datetime,
    gaps: pd.DataFrame | None = None,
) -> Derived:
    """Events of one machine in [start, end).

    Args:
        plant: Its ideal cycles decide what is plausible.
        machine: Its counters, fault, cycle time and alarm tags.
        samples: `time, metric_name, native_code, value, value_text, quality` of those tags: all in the window and, as
            far as there are any, `counters.REACH` good ones of each tag before and after it with the bad ones between.
        orders: `work_order, part_number, started_at, ended_at`; of several at once the one started last names the part.
        entries: Rows of `operator_entries` with the undos that concern them. Bookings (kind `production`) are the parts
            of a machine that has no counter; beside counters they are there to be compared and make none.
        start: Aware, included.
        end: Aware, excluded.
        as_of: What was known; stored with each row.
        gaps: `starts_at, ends_at` of the spans in which nothing at all was heard of the machine (NaT: still so).
            Without it silence is judged from `samples` alone, which other tags of the machine might contradict.

    Returns:
        Rows of `production_events`: `cycle_complete` with good parts, `reject`, `rework`, `alarm`; none with no parts.
        Parts are dated by the reading that showed them, `since` is the reading before. `flag`: `estimated` where the
        feed was silent in between, else `reset`, `rollover` or missing. Refused: readings that cannot be.

    Raises:
        ValueError: Times carry no zone.
    """
    window = (spans.instant_us(start), spans.instant_us(end))
    tags = read_tags(samples)
    silence_us = 0.0 if machine.silence_after_s is None else machine.silence_after_s * 1e6
    of_parts = [counter for counter in machine.counters if counter.counts != "cycles"]
    counted, refused = read_counters(plant, machine, of_parts, tags, silence_us)
    series, contradictions = complemented(counted)
    silent = silences(machine, tags, gaps)
    cycle_times = tags.get(machine.cycle_time_metric or "", NOTHING)
    events = [_of_counter(one, cycle_times, silent, window) for one in series]
    if not machine.counters:
        events += booked_events(in_force(entries), window)
    events += alarm_events(machine, tags, window)
    inside = [one for one in (*refused, *contradictions) if window[0] <= one.at < window[1]]
    return Derived(as_frame(machine.id, events, orders, as_of), quarantined(machine.id, inside))


def _of_counter(series: Series, cycle_times: Tag, silent: Spans, window: tuple[int, int]) -> Events:
    rows = np.flatnonzero((series.parts > 0) & (series.time >= window[0]) & (series.time < window[1]))
    time, since = series.time[rows], series.since[rows]
    flag = np.full(len(rows), None, dtype=object)
    flag[series.kind[rows] == Kind.ROLLOVER] = "rollover"
    flag[series.kind[rows] == Kind.RESET] = "reset"
    if series.cumulative:
        flag[reaches_into(silent, since, time) | reaches_into(series.lost, since, time)] = "estimated"
    return Events.of(
        time,
        EVENT_OF[series.counted],
        series.metric,
        count=series.parts[rows],
        since=since,
        cycle_time_ms=_cycle_time(cycle_times, since, time) if series.counted == "good" else None,
        flag=flag,
    )


def _cycle_time(tag: Tag, since: spans.IntArray, until: spans.IntArray) -> npt.NDArray[np.float64]:
    """The last cycle time measured in (since, until]; NaN for none."""
    rows = np.flatnonzero(tag.measured & (tag.value > 0))
    out = np.full(len(until), np.nan)
    last = np.searchsorted(tag.time[rows], until, side="right") - 1
    found = last >= 0
    found[found] = tag.time[rows][last[found]] > since[found]
    out[found] = tag.value[rows][last[found]]
    return out
