"""kpi_rollup: KPIs of machines, lines, plant, parts and families by shift, production day and week.

Belongs here: which dates and weeks a window reaches, reading them, writing their rows, saying what changed in closed
ones. The arithmetic is `prodlytics.kpi`.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace as with_changed
from typing import TYPE_CHECKING, Any

import dagster as dg

from prodlytics.assets.checks import Check
from prodlytics.assets.declare import dataset_asset
from prodlytics.assets.derive import Derivation, rederive
from prodlytics.assets.resources import Database
from prodlytics.assets.restate import Place, restate
from prodlytics.assets.window import Window

if TYPE_CHECKING:
    import pandas as pd
    import psycopg

    from prodlytics.assets.causes import Causes
    from prodlytics.db.replace import Changes
    from prodlytics.plant.model import Plant

WEEK = [dt.timedelta(days=n) for n in range(7)]
_SUMS = (
    "good_count", "reject_count", "rework_count", "planned_time_us", "run_time_us", "running_us", "failure_us",
    "changeover_us", "planned_stop_us", "other_stop_us", "micro_stop_us", "break_us", "not_scheduled_us", "unknown_us",
)  # fmt: skip
#: Figures of a closed period whose change is written down.
RESTATED = (
    "oee", "availability", "performance", "quality", "good_count", "reject_count", "planned_time_us", "run_time_us",
    "failure_us", "changeover_us", "other_stop_us", "micro_stop_us", "unknown_us", "failures", "repair_time_us",
)  # fmt: skip
#: Whose changes are told, and not only counted in `revision`: the others follow from them.
TOLD = {"machine": ("shift", "day"), "plant": ("day",)}


def kpi_rollup(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""

    @dataset_asset(
        plant,
        "kpi_rollup",
        deps=["oee_shift", "oee_hourly", "downtime_events", "plan_calendar", "reason_codes"],
        checks={
            "days_are_their_hours": "Is every machine's day the sum of its hours?",
            "failures_count_once": "Is every equipment failure in one day of its machine?",
            "conventions_are_one": "Was everything computed under the convention in force?",
        },
    )
    def asset(context: dg.AssetExecutionContext, database: Database) -> dg.MaterializeResult[Any]:
        return rederive(
            context,
            plant,
            database,
            "kpi_rollup",
            _compute,
            after_write=_restate,
        )

    return asset


def _compute(conn: psycopg.Connection, plant: Plant, window: Window) -> Derivation:
    from prodlytics.assets.inputs import percent
    from prodlytics.db.frames import read
    from prodlytics.db.queries import sql
    from prodlytics.kpi.kpi_rollup import derive_kpi_rollup, monday_of
    from prodlytics.plant.calendar import production_day

    span = {"start": window.start, "end": window.end}
    dates = [date for (date,) in conn.execute(sql("select_rollup_dates"), span).fetchall()]
    mondays = sorted({monday_of(date) for date in dates})
    of_weeks = [monday + day for monday in mondays for day in WEEK]
    shifts = read(conn, sql("select_shifts_of_dates"), {"dates": of_weeks})
    stops = read(conn, sql("select_stops_of_dates"), {"dates": of_weeks})
    # A shift may begin before or end after its production day.
    first, last = (of_weeks[0], of_weeks[-1]) if of_weeks else (plant.first_day, plant.first_day)
    around = {
        "start": production_day(plant, first - dt.timedelta(days=1))[0],
        "end": production_day(plant, last + dt.timedelta(days=1))[1],
    }
    plan = read(conn, sql("select_plan_of_dates"), {"dates": of_weeks, **around})
    rows = derive_kpi_rollup(plant, shifts, stops, plan, window.as_of)
    # The other days of these weeks are only there to make up the week.
    rows = rows[(rows["period"] == "week") | rows["period_start"].isin(dates)].reset_index(drop=True)
    days = rows[(rows["period"] == "day") & (rows["level"] == "machine")]
    whole = rows[(rows["period"] == "day") & (rows["level"] == "plant")]["oee"].dropna()
    return Derivation(
        rows,
        "period <> 'week' AND period_start = ANY(%(dates)s) OR period = 'week' AND period_start = ANY(%(mondays)s)",
        {"dates": dates, "mondays": mondays},
        checks=(
            _are_their_hours(conn, plant, days, dates),
            _count_once(plant, days, stops, dates),
            _one_convention(plant, rows),
        ),
        numbers={"production_dates": len(dates), "plant_oee": percent(float(whole.iloc[-1]) if len(whole) else None)},
    )


def _are_their_hours(conn: psycopg.Connection, plant: Plant, days: pd.DataFrame, dates: list[dt.date]) -> Check:
    from prodlytics.db.frames import read
    from prodlytics.db.queries import sql

    hours = read(conn, sql("sum_hours_of_dates"), {"dates": dates})
    # A machine that is no longer in the plant file keeps its hours and is left out of what is computed again.
    hours = hours[hours["machine_id"].isin([machine.id for machine in plant.machines])]
    hours = hours.set_index(["machine_id", "production_date"])
    own = days.set_index(["member", "period_start"])[list(_SUMS)].rename_axis(hours.index.names)
    off = (hours[list(_SUMS)].sub(own, fill_value=0.0) != 0).any(axis=1)
    worst = ", ".join(f"{machine} on {date}" for machine, date in off[off].index[:3])
    return Check(
        "days_are_their_hours",
        not off.any(),
        f"{len(off)} machine days are the sum of their hours."
        if not off.any()
        else f"{int(off.sum())} machine days are not the sum of their hours: {worst}. One is older than the other: "
        "materialize oee_hourly, oee_shift and kpi_rollup of these days again.",
        {"machine_days": len(off), "machine_days_off": int(off.sum())},
    )


def _count_once(plant: Plant, days: pd.DataFrame, stops: pd.DataFrame, dates: list[dt.date]) -> Check:
    from prodlytics.kpi.reliability import failures

    began = failures(plant, stops)
    expected = int(began["production_date"].isin(dates).sum())
    told = int(days["failures"].sum())
    return Check(
        "failures_count_once",
        told == expected,
        f"{told} of {expected} equipment failures are in a day of their machine."
        + (
            ""
            if told == expected
            else " A stop lies where the machine has no time: materialize machine_time, oee_shift and kpi_rollup again."
        ),
        {"failures": told, "stops_that_are_failures": expected},
    )


def _one_convention(plant: Plant, rows: pd.DataFrame) -> Check:
    other = rows[rows["convention"] != plant.convention.code]
    days = sorted(set(other["period_start"]))
    return Check(
        "conventions_are_one",
        other.empty,
        "All rows follow the convention in force."
        if other.empty
        else f"{len(other)} rows, from {days[0]} to {days[-1]}, follow another convention than the plant file: "
        f"run `prodlytics backfill {days[0]} {days[-1] + WEEK[-1]}`.",
        {"rows_of_another_convention": len(other)},
        warns=True,
    )


def _restate(conn: psycopg.Connection, changes: Changes, causes: Causes) -> None:
    """Closed periods get a new revision; of machines and the plant it is said what changed."""
    if changes.changed.empty:
        return
    told = [
        row["period"] in TOLD.get(row["level"], ()) for row in changes.changed[["level", "period"]].to_dict("records")
    ]
    for chosen, place in ((changes.changed[told], _place), (changes.changed[[not one for one in told]], None)):
        restate(
            conn,
            "kpi_rollup",
            with_changed(changes, changed=chosen),
            causes,
            columns=RESTATED,
            ends_at=lambda row: row["ends_at"],
            place=place,
        )


def _place(row: dict[Any, Any]) -> Place:
    return Place(
        member=row["member"],
        starts_at=row["starts_at"],
        production_date=row["period_start"],
        level=row["level"],
        period=row["period"],
        shift=row["shift"] if row["period"] == "shift" else None,
    )
