"""What live figures are computed from: what is stored up to where it can still change, and the raw samples from there.

Belongs here: finding that instant, reading one machine. Does not belong here: what is computed from it
(`prodlytics.kpi.live_oee`), when and where the result goes (`live_oee`).

A tick every 30 seconds cannot read a shift of raw samples (8 h at 1 Hz of 12 machines take seconds), and need not: the
last chain has stored states and events. What came since, and what came late, has left dirty marks. Up to a little
before the first of them (`select_settled`) stored rows are what the chain would compute now; from there on the
functions of the chain derive them in memory.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prodlytics.assets.inputs import CONTEXT_SAMPLES, of_machine, parts_of, samples, silences, together
from prodlytics.assets.machine_states import metrics_of, runs_of
from prodlytics.assets.window import Window
from prodlytics.db.queries import sql
from prodlytics.plant.calendar import plan_rows, production_date_of, production_day

if TYPE_CHECKING:
    import pandas as pd
    import psycopg

    from prodlytics.kpi.live_oee import Known, RunningShift
    from prodlytics.plant.model import Machine, Plant

DAY = dt.timedelta(days=1)
NONE = dt.timedelta(0)
#: For how long after its end the hourly chain goes on computing a production day.
CLOSING = dt.timedelta(hours=2)


@dataclass(frozen=True)
class Moment:
    """The clock and what has been heard.

    Attributes:
        now: The clock.
        as_of: The earlier of now and the newest sample of the plant.
        cover_until: How far the chain would tell states: as far as `as_of`, closed production days to their end.
        until: End of the running production day.
        heard: Newest sample of each machine that ever sent one.
    """

    now: dt.datetime
    as_of: dt.datetime
    cover_until: dt.datetime
    until: dt.datetime
    heard: dict[str, dt.datetime]


def moment(conn: psycopg.Connection, plant: Plant, now: dt.datetime) -> Moment:
    """What can be known at `now`."""
    heard: dict[str, dt.datetime] = dict(conn.execute(sql("select_silent_machines"), {"now": now}).fetchall())
    as_of = min([now, max(heard.values())]) if heard else now
    opens, until = production_day(plant, production_date_of(plant, now))
    return Moment(now, as_of, max(as_of, opens), until, heard)


def plan_around(plant: Plant, machine: Machine, now: dt.datetime) -> pd.DataFrame:
    """The plan of yesterday, today and tomorrow, as `plan_calendar` is made: today's may not be stored yet."""
    date = production_date_of(plant, now)
    return plan_rows(plant, machine, production_day(plant, date - DAY)[0], production_day(plant, date + DAY)[1])


def settled(
    conn: psycopg.Connection, plant: Plant, shifts: dict[str, RunningShift | None], at: Moment
) -> dict[str, dt.datetime]:
    """From when on each machine is derived from raw samples; before that what is stored stands."""
    from prodlytics.kpi.reach import looks

    machines = plant.machines
    floors = {machine.id: _floor(plant, shifts[machine.id], at) for machine in machines}
    rows = conn.execute(
        sql("select_settled"),
        {
            "machines": [machine.id for machine in machines],
            "floors": list(floors.values()),
            "closing": [at.now - CLOSING < floor for floor in floors.values()],
            "aheads": [looks(plant, machine)[1] for machine in machines],
            # Sources that speak of time before their samples, or are no samples at all.
            "whole": [
                machine.state.source == "operator" or machine.state.duration_metric is not None for machine in machines
            ],
            "counters": sorted({counter.metric for machine in machines for counter in machine.counters}),
            "context": CONTEXT_SAMPLES,
        },
    ).fetchall()
    return {machine_id: min(since, at.cover_until) for machine_id, since in rows}


def read_known(
    conn: psycopg.Connection,
    plant: Plant,
    machine: Machine,
    shift: RunningShift | None,
    plan: pd.DataFrame,
    start: dt.datetime,
    at: Moment,
) -> Known:
    """Everything the row of one machine is computed from.

    Args:
        conn: In a transaction that sees one snapshot: the chain may write meanwhile.
        plant: The plant.
        machine: The machine.
        shift: Its running shift.
        plan: `plan_around` now.
        start: From when on it is derived from raw samples (`settled`).
        at: The clock and what has been heard.
    """
    from prodlytics.kpi.live_oee import Known, needed_from

    since = needed_from(plant, shift) if shift is not None else start
    wide = of_machine(conn, "select_stop_span", machine.id, min(start, since), at.until)
    first = wide["starts_at"].iloc[0].to_pydatetime()
    entries = of_machine(conn, "select_entries", machine.id, first, at.until)
    orders = of_machine(conn, "select_orders", machine.id, min(first, since), at.until)
    window = Window(start, at.until, at.as_of, at.cover_until)
    planned_from = plan["starts_at"].min().to_pydatetime()
    if first < planned_from:
        earlier = of_machine(conn, "select_plan", machine.id, first, planned_from)
        plan = together([earlier[earlier["ends_at"] <= planned_from], plan])
    return Known(
        plan,
        _states(conn, plant, machine, window, first, entries),
        _events(conn, plant, machine, window, since, entries, orders),
        entries,
        orders,
        at.heard.get(machine.id),
    )


def _floor(plant: Plant, shift: RunningShift | None, at: Moment) -> dt.datetime:
    """Start of the production day from which on time is needed."""
    from prodlytics.kpi.live_oee import needed_from

    since = at.now if shift is None else needed_from(plant, shift)
    return production_day(plant, production_date_of(plant, since))[0]


def _states(
    conn: psycopg.Connection, plant: Plant, machine: Machine, window: Window, first: dt.datetime, entries: pd.DataFrame
) -> pd.DataFrame:
    from prodlytics.kpi.machine_states import derive_machine_states
    from prodlytics.kpi.reach import STARTED_REACH, looks

    back, ahead = looks(plant, machine)
    # When the state in force began is known from what is stored.
    start, end = window.start - max(back - STARTED_REACH, NONE), window.end + ahead
    runs = runs_of(machine)
    said = samples(conn, "select_state_samples", machine.id, metrics_of(machine), start, end, runs=runs)
    derived = derive_machine_states(
        plant,
        machine,
        said,
        silences(conn, machine, window, said, runs, ahead, query="select_silences"),
        entries,
        window.start,
        window.end,
        window.cover_until,
        window.as_of,
    )
    stored = of_machine(conn, "select_states", machine.id, first, window.start)
    ends_at = stored["ends_at"].where(stored["ends_at"] <= window.start, window.start)
    stored = stored.assign(ends_at=ends_at.astype("datetime64[us, UTC]"), is_open=False)
    return together([derived.rows.iloc[0:0], stored, _begun(stored, derived.rows)])


def _begun(stored: pd.DataFrame, derived: pd.DataFrame) -> pd.DataFrame:
    """Derived states, of which the first began when what is stored says so, if it goes on with the same."""
    same = ["state", "native_state", "fault_code"]
    if stored.empty or derived.empty:
        return derived
    last = stored.iloc[-1]
    if any(last[name] != derived[name].iloc[0] for name in same):
        return derived
    started = derived["state_started_at"].copy()
    started.iloc[0] = min(started.iloc[0], last["state_started_at"])
    return derived.assign(state_started_at=started)


def _events(
    conn: psycopg.Connection,
    plant: Plant,
    machine: Machine,
    window: Window,
    since: dt.datetime,
    entries: pd.DataFrame,
    orders: pd.DataFrame,
) -> pd.DataFrame:
    """What was counted since `since`; alarms make no parts and are left out."""
    from prodlytics.kpi.production_events import derive_production_events

    # Bookings are few, and change what is stored of long ago.
    start = max(since, window.start) if machine.counters else since
    metrics = [counter.metric for counter in machine.counters if counter.counts != "cycles"]
    span = Window(start, window.end, window.as_of, window.cover_until)
    said = samples(conn, "select_samples_with_context", machine.id, metrics, span.start, span.end)
    derived = derive_production_events(
        plant,
        machine,
        said,
        orders,
        entries,
        span.start,
        span.end,
        span.as_of,
        silences(conn, machine, span, said, metrics, query="select_silences"),
    )
    stored = parts_of(conn, machine.id, since, start)
    made = derived.rows[stored.columns]
    return together([made.iloc[0:0], stored, made])
