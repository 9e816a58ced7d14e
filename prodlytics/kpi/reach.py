"""How far around a window one must look to tell a machine's states in it.

Belongs here: the bounds within which a day derived alone and a year derived at once see the same. Does not belong
here: reading (`assets.machine_states`), the rules themselves (`state_sources`, `flaps`).
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from prodlytics.kpi import spans
from prodlytics.kpi.flaps import LONGEST_FLAP
from prodlytics.kpi.state_sources import CYCLES_WITHOUT_COUNT
from prodlytics.plant.model import Machine, Plant

NONE = dt.timedelta(0)
#: How far before a row the start of its state is told, where no single sample says it.
STARTED_REACH = dt.timedelta(days=1)
#: Parts that show at once were made in at most this time (or in the longest pause, where that is longer).
LONGEST_WORK = dt.timedelta(hours=1)


def looks(plant: Plant, machine: Machine) -> tuple[dt.timedelta, dt.timedelta]:
    """How long before and after a window samples and entries are needed.

    Nothing where a controller reports states as they begin: the last change is found however old it is.
    """
    source = machine.state
    if source.source == "counts":
        work = longest_work(plant, machine)
        return STARTED_REACH + work, work
    if source.source == "operator":
        return STARTED_REACH, NONE
    if source.settle_s is not None:
        settle = dt.timedelta(seconds=source.settle_s)
        # Whether the state that ended just within the bound had settled shows before it.
        return STARTED_REACH + LONGEST_FLAP + 2 * settle, settle
    return (NONE if source.duration_metric is None else STARTED_REACH), NONE


def longest_work(plant: Plant, machine: Machine) -> dt.timedelta:
    """The longest time a machine that only counts may take to show what it makes: at least every pause of work."""
    histories = [part.ideal_cycle_time_ms[machine.id] for part in plant.parts if machine.id in part.ideal_cycle_time_ms]
    histories += [machine.ideal_cycle_time_ms] if machine.ideal_cycle_time_ms is not None else []
    cycles_s = [step.value / 1000 for history in histories for step in history.steps]
    stops_s = [step.value for step in machine.micro_stop_s.steps]
    longest_s = max([*stops_s, *(CYCLES_WITHOUT_COUNT * cycle for cycle in cycles_s)])
    return max(LONGEST_WORK, dt.timedelta(seconds=longest_s))


def started_within_reach(states: pd.DataFrame, *, all_states: bool) -> pd.DataFrame:
    """Rows whose `state_started_at` is told no further back than `STARTED_REACH` before the row.

    Args:
        states: Rows of `machine_states`, cut at the edges of production days.
        all_states: False where the start of a reported state is known however long ago; that nobody knows the state
            has no report, so it is never looked for further.
    """
    earliest = spans.to_us(states["starts_at"]) - STARTED_REACH // spans.MICROSECOND
    started = spans.to_us(states["state_started_at"])
    bounded = all_states | (states["state"] == "unknown").to_numpy(dtype=bool)
    started = np.where(bounded, np.maximum(started, earliest), started)
    return states.assign(state_started_at=spans.from_us(started).set_axis(states.index))
