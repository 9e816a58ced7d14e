"""OEE of the running shift, from the functions of the chain.

Belongs here: which shift is running, what a machine does now, its row of `live_oee`. Does not belong here: how stops,
ledger and elements are made: the functions that make the stored ones are called, so that a live figure is what the
chain would store if it ran now.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from prodlytics.datasets.registry import DATASETS
from prodlytics.kpi import spans
from prodlytics.kpi.downtime_events import derive_downtime_events
from prodlytics.kpi.machine_time import BUCKETS, derive_machine_time
from prodlytics.kpi.oee import COUNTS, TIMES, roll_up
from prodlytics.kpi.oee_shift import derive_oee_shift
from prodlytics.plant.calendar import MICROSECOND, production_date_of, production_day
from prodlytics.plant.model import Machine, Plant

COLUMNS = list(DATASETS["live_oee"].columns)
SHIFT_COLUMNS = list(DATASETS["oee_shift"].columns)
#: Buckets in which something was expected of the machine, or it did something.
EXPECTED = tuple(f"{bucket}_us" for bucket in BUCKETS if bucket not in ("break", "not_scheduled"))


@dataclass(frozen=True)
class RunningShift:
    """The shift of a machine at an instant; a shift cut in two by a closure is one."""

    name: str
    production_date: dt.date
    starts_at: dt.datetime
    ends_at: dt.datetime


@dataclass(frozen=True)
class Known:
    """What is known of one machine, read for its row.

    Attributes:
        plan: Rows of `plan_calendar`: those around now, and as far back as a stop reaches that is not over.
        states: Rows of `machine_states`, gapless, so far back that no stop that touches the shift is cut.
        events: Rows of `production_events` of the shift.
        entries: Rows of `operator_entries` with the undos that concern them, as far back as the states.
        orders: Rows of `work_orders` of the machine that touch the shift.
        last_heard_at: Newest sample of any tag; None for a machine that never sent one.
    """

    plan: pd.DataFrame
    states: pd.DataFrame
    events: pd.DataFrame
    entries: pd.DataFrame
    orders: pd.DataFrame
    last_heard_at: dt.datetime | None


def running_shift(plan: pd.DataFrame, now: dt.datetime) -> RunningShift | None:
    """The shift that `now` lies in; None where the machine is in none.

    Args:
        plan: Rows of `plan_calendar` of one machine, from before the shift's start to after its end.
        now: Aware.
    """
    rows = plan[(plan["starts_at"] <= now) & (plan["ends_at"] > now) & plan["shift"].notna()]
    if rows.empty:
        return None
    name, date = str(rows["shift"].iloc[0]), rows["production_date"].iloc[0]
    same = plan[(plan["shift"] == name) & (plan["production_date"] == date)]
    return RunningShift(name, date, same["starts_at"].min().to_pydatetime(), same["ends_at"].max().to_pydatetime())


def needed_from(plant: Plant, shift: RunningShift) -> dt.datetime:
    """From when the ledger is needed: whether a part made on the first instant belongs to a gap is said before it."""
    opens, _ = production_day(plant, production_date_of(plant, shift.starts_at))
    return max(opens, shift.starts_at - MICROSECOND)


def shift_so_far(
    plant: Plant,
    machine: Machine,
    shift: RunningShift | None,
    known: Known,
    until: dt.datetime,
    as_of: dt.datetime,
) -> pd.DataFrame:
    """Rows of `oee_shift` of a machine's running shift, as the chain would store them now.

    Args:
        plant: Convention, reason tree, ideal cycles.
        machine: The machine.
        shift: Its running shift (`running_shift`).
        known: What was read of it.
        until: End of the running production day.
        as_of: The earlier of now and the newest sample of the plant: how far they are told.

    Returns:
        Nothing outside any shift, and as long as nothing was heard since the shift began.
    """
    if shift is None:
        return pd.DataFrame(columns=SHIFT_COLUMNS)
    since = needed_from(plant, shift)
    stops = derive_downtime_events(plant, machine, known.states, known.plan, known.entries, known.orders, as_of)
    plan = known.plan[(known.plan["ends_at"] > since) & (known.plan["starts_at"] < until)]
    ledger = derive_machine_time(plant, machine, plan, known.states, stops, since, until, as_of)
    opens, _ = production_day(plant, production_date_of(plant, since))
    parts = derive_oee_shift(plant, machine, ledger, known.events, known.orders, opens, until, as_of)
    return parts[(parts["production_date"] == shift.production_date) & (parts["shift"] == shift.name)]


def derive_live_oee(
    plant: Plant,
    shifts: Mapping[str, RunningShift | None],
    known: Mapping[str, Known],
    until: dt.datetime,
    now: dt.datetime,
    as_of: dt.datetime,
) -> pd.DataFrame:
    """The rows of all machines.

    Args:
        plant: Convention, reason tree, ideal cycles.
        shifts: Running shift of each machine (`running_shift`); None outside any.
        known: What was read of each machine.
        until: End of the running production day.
        now: The clock: which shift is running, how long a machine has been silent.
        as_of: The earlier of now and the newest sample of the plant: how far the elements are told.

    Returns:
        One row per machine with the columns of `live_oee`. Elements and ratios are those of the shift so far, the sums
        of what `oee_shift` would hold if it were computed now; all 0 and `no_planned_time` outside any shift, and
        `no_data` as long as nothing has been heard since it began.
    """
    told = {
        machine.id: shift_so_far(plant, machine, shifts[machine.id], known[machine.id], until, as_of)
        for machine in plant.machines
    }
    full = [rows for rows in told.values() if len(rows)]
    none = [name for name, rows in told.items() if rows.empty]
    nothing = pd.DataFrame({"machine_id": none, **{name: 0.0 for name in (*COUNTS, *TIMES)}})
    elements = roll_up(pd.concat([*full, nothing], ignore_index=True), ["machine_id"], plant.convention)
    unheard = elements["machine_id"].isin([name for name in none if shifts[name] is not None])
    elements["null_reason"] = elements["null_reason"].mask(unheard, "no_data")
    of_now = [_of_now(machine, shifts[machine.id], known[machine.id], now, as_of) for machine in plant.machines]
    rows = elements.merge(pd.DataFrame(of_now, dtype=object), on="machine_id")
    return _typed(rows.assign(coverage=_coverage(rows), as_of=as_of, convention=plant.convention.code))


def _of_now(
    machine: Machine, shift: RunningShift | None, known: Known, now: dt.datetime, as_of: dt.datetime
) -> dict[str, Any]:
    """What a row says beside its elements."""
    plan = known.plan
    state, since = _state(machine, known, now)
    part_number, work_order = _in_work(known.orders, as_of)
    return {
        "machine_id": machine.id,
        "shift": None if shift is None else shift.name,
        "production_date": plan["production_date"][(plan["starts_at"] <= now) & (plan["ends_at"] > now)].iloc[0],
        "shift_started_at": None if shift is None else shift.starts_at,
        "shift_ends_at": None if shift is None else shift.ends_at,
        "state": state,
        "state_since": since,
        "part_number": part_number,
        "work_order": work_order,
        "last_heard_at": known.last_heard_at,
        **_of_last_hour(known.events, shift, now),
    }


def _of_last_hour(events: pd.DataFrame, shift: RunningShift | None, now: dt.datetime) -> dict[str, float]:
    """Good and rejected parts of the hour up to now; of a shift that is younger, since its start."""
    since = now if shift is None else max(shift.starts_at, now - dt.timedelta(hours=1))
    made = events[(events["time"] > since) & (events["time"] <= now)]
    return {f"hour_{name}": float(made[name].sum()) for name in ("good_count", "reject_count")}


def _typed(rows: pd.DataFrame) -> pd.DataFrame:
    """The columns of `live_oee` with their types, also where all of a column is missing."""
    fields = DATASETS["live_oee"].fields
    frame: dict[str, pd.Series[Any]] = {}
    for name, field in fields.items():
        column: pd.Series[Any] = rows[name]
        if field.type == "timestamp":
            frame[name] = pd.to_datetime(column, utc=True).astype("datetime64[us, UTC]")
        elif field.type in ("float", "numeric"):
            frame[name] = column.astype("float64")
        elif field.type == "integer":
            frame[name] = column.astype("int64")
        else:
            frame[name] = pd.Series(spans.texts(column), dtype=object)
    return pd.DataFrame(frame, columns=COLUMNS)


def _coverage(rows: pd.DataFrame) -> pd.Series[float]:
    """Share of the time so far, breaks and unplanned time apart, in which the state was known; missing for no time."""
    expected = rows[list(EXPECTED)].sum(axis=1)
    return 1.0 - rows["unknown_us"] / expected.where(expected > 0)


def _state(machine: Machine, known: Known, now: dt.datetime) -> tuple[str, dt.datetime | None]:
    """What the machine does and since when; unknown since it was last heard once it has been silent for too long."""
    by_feed = machine.state.source != "operator"
    if by_feed and known.last_heard_at is None:
        return "unknown", None
    limit = None if machine.silence_after_s is None else dt.timedelta(seconds=machine.silence_after_s)
    silent = known.last_heard_at is not None and limit is not None and now - known.last_heard_at > limit
    if known.states.empty or (by_feed and silent):
        return "unknown", known.last_heard_at
    last = known.states.sort_values("starts_at", kind="stable").iloc[-1]
    return str(last["state"]), last["state_started_at"].to_pydatetime()


def _in_work(orders: pd.DataFrame, at: dt.datetime) -> tuple[str | None, str | None]:
    """Part and order in work; of several at once the one started last."""
    begun = orders[(orders["started_at"] <= at) & ~(orders["ended_at"] <= at)]
    if begun.empty:
        return None, None
    last = begun.sort_values(["started_at", "work_order"], kind="stable").iloc[-1:]
    return spans.texts(last["part_number"])[0], spans.texts(last["work_order"])[0]
