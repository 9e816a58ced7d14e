"""Alarms: conditions that begin, fault codes that appear.

Belongs here: when a condition tag or a fault tag makes an event. Does not belong here: the fault a stop has
(`machine_states`).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from prodlytics.kpi import spans
from prodlytics.kpi.events import Events
from prodlytics.kpi.samples import Tag, words
from prodlytics.plant.model import Machine

#: What a condition or fault tag says, in lower case, while there is nothing to report.
ALL_CLEAR = ("", "0", "false", "normal", "ok", "none", "unavailable", "inactive")


def alarm_events(machine: Machine, tags: dict[str, Tag], window: tuple[int, int]) -> list[Events]:
    """One event where a condition begins or changes its level, and where another fault code appears.

    The same word again is the same condition, unless the tag was clear in between.
    """
    events = [_conditions(name, tags[name], window) for name in machine.alarm_metrics if name in tags]
    if machine.fault_metric is not None and machine.fault_metric in tags:
        events.append(_faults(machine.fault_metric, tags[machine.fault_metric], window))
    return events


def is_clear(said: spans.ObjectArray) -> spans.BoolArray:
    """Where a tag says that there is nothing to report."""
    number, distinct = pd.factorize(said)
    clear = [str(word).strip().lower() in ALL_CLEAR for word in distinct]
    # Nothing said is number -1: the last place.
    return np.array([*clear, True], dtype=bool)[number]


def _conditions(name: str, tag: Tag, window: tuple[int, int]) -> Events:
    said = words(tag)
    usable = np.flatnonzero(tag.good & ~spans.missing(said))
    time, code, said = tag.time[usable], tag.code[usable], said[usable]
    clear = is_clear(said)
    before = _before_of_same(code)
    place = np.arange(len(said))
    # A clear without a code clears every condition of the tag.
    wiped = np.maximum.accumulate(np.where(clear & (code == ""), place, -1)) if len(place) else place
    same = (before >= 0) & (said[before] == said) & (wiped < before)
    rows = np.flatnonzero(~clear & ~same & (time >= window[0]) & (time < window[1]))
    codes = code[rows]
    codes[codes == ""] = None
    keys = np.array([name if one is None else f"{name}/{one}" for one in codes.tolist()], dtype=object)
    return Events.of(time[rows], "alarm", keys, fault_code=codes)


def _before_of_same(code: spans.ObjectArray) -> spans.IntArray:
    """Index of the sample before with the same native code, -1 for none."""
    number = spans.codes(code)
    order = np.argsort(number, kind="stable")
    before = np.full(len(code), -1, dtype=np.int64)
    alike = number[order[1:]] == number[order[:-1]]
    before[order[1:][alike]] = order[:-1][alike]
    return before


def _faults(name: str, tag: Tag, window: tuple[int, int]) -> Events:
    said = words(tag)
    usable = np.flatnonzero(tag.good & ~spans.missing(said))
    time, said = tag.time[usable], said[usable]
    changed = np.ones(len(said), dtype=bool)
    changed[1:] = said[1:] != said[:-1]
    rows = np.flatnonzero(changed & ~is_clear(said) & (time >= window[0]) & (time < window[1]))
    return Events.of(time[rows], "alarm", name, fault_code=said[rows])
