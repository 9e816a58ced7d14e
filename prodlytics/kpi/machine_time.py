"""The loss ledger: every instant of a machine in exactly one bucket.

Belongs here: laying states, plan and stops over each other and deciding which one an instant belongs to. Does not
belong here: how stops get their reasons (`downtime_events`), ratios (`oee`).

Who wins an instant, strongest first: running, not scheduled, break, planned stop of the calendar, unknown, stop.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from prodlytics.datasets.registry import DATASETS
from prodlytics.kpi import spans
from prodlytics.kpi.downtime_events import LOSS_OF_STATE
from prodlytics.plant.calendar import day_hours
from prodlytics.plant.model import Machine, Plant

COLUMNS = list(DATASETS["machine_time"].columns)
BUCKETS = (
    "running",
    "failure",
    "changeover",
    "planned_stop",
    "other_stop",
    "micro_stop",
    "break",
    "not_scheduled",
    "unknown",
)


class CalendarHoleError(ValueError):
    """The plan does not say what part of the window was for; `plan_calendar` has to be made first."""


def derive_machine_time(
    plant: Plant,
    machine: Machine,
    plan: pd.DataFrame,
    states: pd.DataFrame,
    stops: pd.DataFrame,
    start: dt.datetime,
    end: dt.datetime,
    as_of: dt.datetime | None = None,
) -> pd.DataFrame:
    """The ledger of one machine.

    Args:
        plant: Where the hours of a production day begin.
        machine: Whose time this is.
        plan: Rows of `plan_calendar` that cover the window.
        states: Rows of `machine_states`; before the first and between rows nobody knows.
        stops: Rows of `downtime_events` that touch the window.
        start: Aware start of the window.
        end: Aware end of the window; the ledger ends earlier where the states do.
        as_of: What was known; without it the newest `as_of` of the states.

    Returns:
        Columns of `machine_time` without generated ones: [start, min(end, end of the states)) without gap or overlap,
        cut at hours, plan rows and parts of stops; equal neighbours are one row, so that the ledger does not depend on
        how its inputs were cut. An hour in which the production date changes is two buckets.

    Raises:
        CalendarHoleError: The plan does not cover the window.
    """
    states, plan, stops = (
        frame.sort_values(column, kind="stable")
        for frame, column in ((states, "starts_at"), (plan, "starts_at"), (stops, "time_start"))
    )
    state_start, state_end = spans.to_us(states["starts_at"]), spans.to_us(states["ends_at"])
    plan_start, plan_end = spans.to_us(plan["starts_at"]), spans.to_us(plan["ends_at"])
    low = spans.instant_us(start)
    high = min(spans.instant_us(end), int(state_end.max())) if len(state_end) else low
    stop_start, stop_end = spans.to_us(stops["time_start"]), spans.to_us(stops["time_end"])
    stop_end = np.where(stop_end == spans.MISSING, high, stop_end)
    hours = _hours(plant, plan, start, end)

    starts, ends = spans.cut(low, high, [state_start, state_end, plan_start, plan_end, stop_start, stop_end, hours])
    in_state = spans.covering(state_start, state_end, starts)
    in_plan = spans.covering(plan_start, plan_end, starts)
    in_stop = spans.covering(stop_start, stop_end, starts)
    if (in_plan < 0).any():
        hole = spans.from_us(starts[in_plan < 0][:1]).iloc[0]
        raise CalendarHoleError(
            f"{machine.id}: plan_calendar says nothing about {hole.isoformat()}; materialize it first"
        )

    told = _told(states, plan, stops, in_state, in_plan, in_stop)
    hour = np.searchsorted(hours, starts, side="right").astype(np.int64) - 1
    new = spans.changes(starts, ends, [hour, *(spans.codes(values) for values in told.values())])
    rows = int(new.sum())
    return pd.DataFrame(
        {
            "machine_id": np.full(rows, machine.id, dtype=object),
            "starts_at": spans.from_us(starts[new]),
            "ends_at": spans.from_us(ends[spans.last_of_runs(new)]),
            **{name: values[new] for name, values in told.items()},
            "time_bucket": spans.from_us(hours[hour[new]]),
            "as_of": spans.from_us(np.full(rows, _as_of(states, as_of), dtype=np.int64)),
        },
        columns=COLUMNS,
    )


def _told(
    states: pd.DataFrame,
    plan: pd.DataFrame,
    stops: pd.DataFrame,
    in_state: spans.IntArray,
    in_plan: spans.IntArray,
    in_stop: spans.IntArray,
) -> dict[str, spans.ObjectArray]:
    """What is said of each piece of time, by column: its row of states, plan and stops is given, -1 for none."""
    state = spans.pick(spans.texts(states["state"]), in_state)
    state[in_state < 0] = "unknown"
    planned_for = spans.texts(plan["plan"])[in_plan]
    bucket = _bucket(state, planned_for, spans.pick(spans.texts(stops["bucket"]), in_stop))
    # A stop has its name on the time that is lost to it, and on no other.
    lost = (in_stop >= 0) & ~np.isin(bucket, ("running", "not_scheduled", "break", "unknown"))
    in_stop = np.where(lost, in_stop, -1)
    return {
        "bucket": bucket,
        "plan": planned_for,
        "state": state,
        **{name: spans.pick(spans.texts(stops[name]), in_stop) for name in ("reason_code", "stop_id")},
        **{name: spans.texts(plan[name])[in_plan] for name in ("shift", "production_date")},
    }


def _hours(plant: Plant, plan: pd.DataFrame, start: dt.datetime, end: dt.datetime) -> spans.IntArray:
    """Starts of the hours, and the instants inside them at which another production date begins.

    Without the second a night shift that ends at a quarter past would leave an hour that belongs to two days, and the
    hours of a day would not be its ledger.
    """
    hours = np.array([spans.instant_us(hour) for hour, _ in day_hours(plant, start, end)], dtype=np.int64)
    date = spans.codes(spans.texts(plan["production_date"]))
    turns = spans.to_us(plan["starts_at"])[1:][date[1:] != date[:-1]]
    turns = turns[turns < spans.instant_us(end)]
    return np.unique(np.concatenate([hours, turns[turns > hours[0]] if len(hours) else turns]))


def _bucket(
    state: spans.ObjectArray, planned_for: spans.ObjectArray, stop_bucket: spans.ObjectArray
) -> spans.ObjectArray:
    # States may be newer than the stops derived from them; until those catch up the state speaks for itself.
    by_state = np.array([LOSS_OF_STATE.get(name, "other_stop") for name in state], dtype=object)
    chosen = np.select(
        [
            state == "running",
            planned_for == "not_scheduled",
            planned_for == "break",
            planned_for == "planned_stop",
            state == "unknown",
            ~spans.missing(stop_bucket),
        ],
        [
            np.full(len(state), name, dtype=object)
            for name in ("running", "not_scheduled", "break", "planned_stop", "unknown")
        ]
        + [stop_bucket],
        default=by_state,
    )
    return chosen.astype(object)


def _as_of(states: pd.DataFrame, as_of: dt.datetime | None) -> int:
    if as_of is not None:
        return spans.instant_us(as_of)
    return int(spans.to_us(states["as_of"]).max()) if len(states) else spans.MISSING
