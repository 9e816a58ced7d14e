"""oee_shift: elements and ratios per machine, shift and part.

Belongs here: finding the production dates a window touches, reading all their time, writing their rows. The arithmetic
is `prodlytics.kpi`.

A shift belongs to the day on which it starts and may reach over the boundary of the production day. So the window is
widened to whole production dates: those with time in it now, and those whose rows say that they had.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import dagster as dg

from prodlytics.assets.checks import Check
from prodlytics.assets.declare import dataset_asset
from prodlytics.assets.derive import Derivation, rederive
from prodlytics.assets.resources import Database
from prodlytics.assets.restate import restate
from prodlytics.assets.window import Window

if TYPE_CHECKING:
    import pandas as pd
    import psycopg

    from prodlytics.assets.causes import Causes
    from prodlytics.db.replace import Changes
    from prodlytics.plant.model import Plant

_SUMS = (
    "good_count", "reject_count", "rework_count", "planned_time_us", "run_time_us", "running_us", "failure_us",
    "changeover_us", "planned_stop_us", "other_stop_us", "micro_stop_us", "break_us", "not_scheduled_us", "unknown_us",
)  # fmt: skip


def oee_shift(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""

    @dataset_asset(
        plant,
        "oee_shift",
        deps=["machine_time", "production_events", "oee_hourly", "work_orders", "machine_config"],
        checks={"shifts_are_their_hours": "Do the shifts and parts of every machine and day add up to its hours?"},
    )
    def asset(context: dg.AssetExecutionContext, database: Database) -> dg.MaterializeResult[Any]:
        return rederive(
            context,
            plant,
            database,
            "oee_shift",
            _compute,
            after_write=lambda conn, changes, causes: _revise(conn, plant, changes, causes),
        )

    return asset


def _compute(conn: psycopg.Connection, plant: Plant, window: Window) -> Derivation:
    from prodlytics.assets.inputs import of_each, span_of_each, together
    from prodlytics.kpi.oee_shift import derive_oee_shift

    dates, start, end = _dates(conn, plant, window)
    spans = span_of_each(plant, start, end)
    asked = ("select_ledger", "select_parts", "select_orders")
    shifts = together(
        [
            derive_oee_shift(plant, machine, ledger, events, orders, start, end, window.as_of)
            for machine, ledger, events, orders in of_each(conn, plant, spans, *asked)
        ]
    )
    shifts = shifts[shifts["production_date"].isin(dates)].reset_index(drop=True)
    return Derivation(
        shifts,
        "production_date = ANY(%(dates)s)",
        {"dates": dates},
        checks=(_are_their_hours(conn, plant, shifts, dates),),
        numbers={"production_dates": len(dates)},
    )


def _dates(conn: psycopg.Connection, plant: Plant, window: Window) -> tuple[list[dt.date], dt.datetime, dt.datetime]:
    """Production dates to compute, and whole production days that hold all their time."""
    from prodlytics.db.queries import sql
    from prodlytics.plant.calendar import production_date_of, production_day

    found = conn.execute(sql("select_dates_around"), {"start": window.start, "end": window.end}).fetchall()
    first = min([window.start, *(low for _, low, _ in found if low)])
    last = max([window.end, *(high for _, _, high in found if high)])
    start = production_day(plant, production_date_of(plant, first))[0]
    end = production_day(plant, production_date_of(plant, last - dt.timedelta(microseconds=1)))[1]
    return [date for date, _, _ in found], start, end


def _are_their_hours(conn: psycopg.Connection, plant: Plant, shifts: pd.DataFrame, dates: list[dt.date]) -> Check:
    from prodlytics.db.frames import read
    from prodlytics.db.queries import sql

    by = ["machine_id", "production_date"]
    hours = read(conn, sql("select_oee_of_dates"), {"dates": dates})
    # A machine that is no longer in the plant file keeps its rows and is not computed again.
    hours = hours[hours["machine_id"].isin([machine.id for machine in plant.machines])].groupby(by)[list(_SUMS)].sum()
    summed = shifts.groupby(by)[list(_SUMS)].sum()
    off = (hours.sub(summed, fill_value=0.0) != 0).any(axis=1)
    worst = ", ".join(f"{machine} on {date}" for machine, date in off[off].index[:3])
    return Check(
        "shifts_are_their_hours",
        not off.any(),
        f"Shifts and parts of {len(off)} machine days add up to their hours."
        if not off.any()
        else f"Shifts and hours of {int(off.sum())} machine days disagree: {worst}. One of them is older than the "
        "other: materialize oee_hourly and oee_shift of these days again.",
        {"machine_days": len(off), "machine_days_off": int(off.sum())},
    )


def _revise(conn: psycopg.Connection, plant: Plant, changes: Changes, causes: Causes) -> None:
    """Shifts of closed days get a new revision; what changed is told by what is rolled up from them."""
    from prodlytics.plant.calendar import production_day

    restate(
        conn, "oee_shift", changes, causes,
        columns=_SUMS, ends_at=lambda row: production_day(plant, row["production_date"])[1],
    )  # fmt: skip
