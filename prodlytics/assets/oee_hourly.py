"""oee_hourly: elements and ratios per machine and hour; what changed in closed hours is written down.

Belongs here: reading ledger and events, keeping revisions, writing `restatements`. The arithmetic is `prodlytics.kpi`.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import dagster as dg

from prodlytics.assets.checks import Check
from prodlytics.assets.declare import dataset_asset
from prodlytics.assets.derive import Derivation, rederive
from prodlytics.assets.resources import Database
from prodlytics.assets.restate import Place, restate
from prodlytics.assets.shown import shown_hours
from prodlytics.assets.window import Window

if TYPE_CHECKING:
    import pandas as pd
    import psycopg

    from prodlytics.assets.causes import Causes
    from prodlytics.db.replace import Changes
    from prodlytics.plant.model import Plant

#: Figures of a closed hour whose change is written down.
RESTATED = (
    "oee", "availability", "performance", "quality", "good_count", "reject_count", "planned_time_us", "run_time_us",
    "failure_us", "changeover_us", "other_stop_us", "micro_stop_us", "unknown_us",
)  # fmt: skip
_ELEMENTS = (
    "running_us", "failure_us", "changeover_us", "planned_stop_us", "other_stop_us", "micro_stop_us", "break_us",
    "not_scheduled_us", "unknown_us",
)  # fmt: skip


def oee_hourly(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""

    @dataset_asset(
        plant,
        "oee_hourly",
        deps=["machine_time", "production_events", "machine_config"],
        checks={
            "hours_add_up": "Do the buckets of every hour add up to the time the ledger has for it?",
            "ratios_multiply": "Is availability x performance x quality the OEE from elements?",
            "performance_is_plausible": "Does no machine run faster than its ideal cycle?",
        },
    )
    def asset(context: dg.AssetExecutionContext, database: Database) -> dg.MaterializeResult[Any]:
        return rederive(
            context,
            plant,
            database,
            "oee_hourly",
            _compute,
            after_write=_restate,
        )

    return asset


def _compute(conn: psycopg.Connection, plant: Plant, window: Window) -> Derivation:
    from prodlytics.assets.inputs import of_each, percent, seconds, span_of_each, together
    from prodlytics.kpi.oee import roll_up
    from prodlytics.kpi.oee_hourly import derive_oee_hourly

    rows, ledger_us = [], 0
    spans = span_of_each(plant, window.start, window.end)
    for machine, ledger, events in of_each(conn, plant, spans, "select_ledger", "select_parts"):
        ledger_us += round(seconds(ledger) * 1e6)
        rows.append(derive_oee_hourly(plant, machine, ledger, events, window.start, window.end, window.as_of))
    hours = together(rows)
    total = roll_up(hours.assign(plant=plant.plant), ["plant"], plant.convention)
    oee = float(total["oee"].iloc[0]) if len(total) and total["oee"].notna().iloc[0] else None
    return Derivation(
        hours,
        "time_bucket >= %(start)s AND time_bucket < %(end)s",
        {"start": window.start, "end": window.end},
        checks=(_adds_up(hours, ledger_us), _multiplies(hours), _plausible(plant, hours)),
        numbers={"plant_oee": percent(oee), **shown_hours(conn, plant, window, hours)},
    )


def _adds_up(hours: pd.DataFrame, ledger_us: int) -> Check:
    told = int(hours[list(_ELEMENTS)].sum().sum())
    return Check(
        "hours_add_up",
        told == ledger_us,
        f"Hours hold {told} us, the ledger {ledger_us} us.",
        {"hours_us": told, "ledger_us": ledger_us},
    )


def _multiplies(hours: pd.DataFrame) -> Check:
    full = hours.dropna(subset=["availability", "performance", "quality", "oee"])
    off = (full["availability"] * full["performance"] * full["quality"] - full["oee"]).abs() > 1e-9
    return Check(
        "ratios_multiply",
        not off.any(),
        f"In {int(off.sum())} of {len(full)} hours A x P x Q is not the OEE.",
        {"hours": len(full), "hours_off": int(off.sum())},
    )


def _plausible(plant: Plant, hours: pd.DataFrame) -> Check:
    # One long cycle that ends early in an hour lifts that hour over 1; a day of them means a wrong ideal cycle.
    by_machine = hours.groupby("machine_id")[["ideal_time_us", "run_time_us"]].sum(min_count=1)
    by_machine = by_machine[by_machine["run_time_us"] > 0]
    performance = by_machine["ideal_time_us"] / by_machine["run_time_us"]
    fast = performance[performance > plant.thresholds.performance_suspect]
    return Check(
        "performance_is_plausible",
        fast.empty,
        "No machine is faster than its ideal cycle."
        if fast.empty
        else "Ideal cycle suspect: "
        + ", ".join(f"{machine} at {value:.0%}" for machine, value in fast.items())
        + " of the possible. Correct ideal_cycle_time_ms in the plant file; the raw figure is stored, never capped.",
        {"machines_suspect": len(fast)},
        warns=True,
    )


def _restate(conn: psycopg.Connection, changes: Changes, causes: Causes) -> None:
    """Say what changed in closed hours; the trend in the reports of the two weeks after shows these days too."""
    from prodlytics.db.queries import sql

    dates = restate(
        conn,
        "oee_hourly",
        changes,
        causes,
        columns=RESTATED,
        ends_at=lambda row: row["time_bucket"] + dt.timedelta(hours=1),
        place=lambda row: Place(row["machine_id"], row["time_bucket"], row["production_date"]),
    )
    if dates:
        conn.execute(sql("mark_later_reports"), {"first": dates[0], "last": dates[-1], "cause": causes.together[:200]})
