"""sensor_delivery: what each sensor delivered in a production day against what it usually does.

Belongs here: reading sample times and the days before, asking for the days after. The counting is `prodlytics.kpi`.

Only closed days: a sensor is judged over 24 hours, once, and not every hour again.
"""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import dagster as dg

from prodlytics.assets.checks import Check
from prodlytics.assets.declare import DAILY, dataset_asset
from prodlytics.assets.derive import Derivation, rederive
from prodlytics.assets.resources import Database
from prodlytics.assets.window import Window, day_edges

if TYPE_CHECKING:
    import pandas as pd
    import psycopg

    from prodlytics.db.replace import Changes
    from prodlytics.plant.model import Machine, Plant


def sensor_delivery(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""

    @dataset_asset(
        plant,
        "sensor_delivery",
        deps=["machine_telemetry", "machine_time"],
        checks={"sensors_deliver": "Did every sensor deliver nearly all its usual samples in the day?"},
        running_day=False,
        freshness=DAILY,
    )
    def asset(context: dg.AssetExecutionContext, database: Database) -> dg.MaterializeResult[Any]:
        last: list[dt.datetime] = []

        def compute(conn: psycopg.Connection, known: Plant, window: Window) -> Derivation:
            last[:] = [window.end]
            return _compute(conn, known, window)

        return rederive(
            context, plant, database, "sensor_delivery", compute,
            after_write=lambda conn, changes, causes: _ask_for_later_days(conn, changes, last[0], causes.together),
        )  # fmt: skip

    return asset


def _compute(conn: psycopg.Connection, plant: Plant, window: Window) -> Derivation:
    from prodlytics.assets.inputs import together

    rows = together([_of_machine(conn, plant, machine, window) for machine in plant.machines])
    return Derivation(
        rows,
        "starts_at >= %(start)s AND starts_at < %(end)s",
        {"start": window.start, "end": window.end},
        checks=(_delivers(rows, plant.thresholds.delivery),),
        numbers={"sensors_judged": int(rows["delivery"].notna().sum())},
    )


def _of_machine(conn: psycopg.Connection, plant: Plant, machine: Machine, window: Window) -> pd.DataFrame:

    from prodlytics.assets.inputs import of_machine
    from prodlytics.db.frames import read, unpack_times
    from prodlytics.db.queries import sql
    from prodlytics.kpi.sensor_delivery import USUAL_DAYS, Day, derive_sensor_delivery
    from prodlytics.plant.calendar import production_date_of

    ledger = of_machine(conn, "select_ledger", machine.id, window.start, window.end)
    days = []
    for start, end in pairwise(day_edges(plant, window.start, window.end)):
        inside = (ledger["starts_at"] >= start) & (ledger["starts_at"] < end)
        days.append(Day.of(production_date_of(plant, start), start, end, ledger[inside]))
    sent = of_machine(conn, "select_sample_times", machine.id, window.start, window.end)
    times = {(metric, code): unpack_times(packed) for metric, code, packed in sent.itertuples(index=False)}
    before = {"machine_id": machine.id, "first": days[0].date, "days": USUAL_DAYS}
    return derive_sensor_delivery(machine, days, times, read(conn, sql("select_usual_delivery"), before), window.as_of)


def _ask_for_later_days(conn: psycopg.Connection, changes: Changes, end: dt.datetime, cause: str) -> None:
    """How a sensor was sent on a day says what is usual on the days after it."""
    from prodlytics.db import dirty
    from prodlytics.db.queries import sql
    from prodlytics.kpi.sensor_delivery import USUAL_DAYS

    if changes.changed.empty:
        return
    changed = changes.changed[["machine_id", "production_date"]].drop_duplicates()
    later = conn.execute(
        sql("select_later_deliveries"),
        {
            "machines": list(changed["machine_id"]),
            "dates": list(changed["production_date"]),
            "days": USUAL_DAYS,
            "end": end,
        },
    ).fetchall()
    dirty.mark(conn, "sensor_delivery", later, cause)


def _delivers(rows: pd.DataFrame, limit: float) -> Check:
    last = rows[rows["production_date"] == rows["production_date"].max()] if len(rows) else rows
    judged = last[last["delivery"].notna()]
    poor = judged[judged["delivery"] < limit].sort_values("delivery", kind="stable")
    named = ", ".join(
        f"{row['machine_id']} {row['metric_name']} {row['delivery']:.1%} ({row['missing_count']} of "
        f"{row['sample_count'] + row['missing_count']} samples missing)"
        for row in poor.head(5).to_dict("records")
    )
    others = f" {len(last) - len(judged)} tags are sent when they change: their feeds are in data_quality."
    more = f" and {len(poor) - 5} more" if len(poor) > 5 else ""
    when = f"on {last['production_date'].iloc[0]}" if len(last) else ""
    return Check(
        "sensors_deliver",
        poor.empty,
        f"Less than {limit:.1%} delivered {when}: {named}{more}. Look at sensor, gateway and signal strength." + others
        if len(poor)
        else f"All {len(judged)} sensors that are sent steadily delivered {limit:.1%} or more {when}." + others
        if len(judged)
        else "No tag is sent steadily: nothing to judge.",
        {"sensors_judged": len(judged), "sensors_poor": len(poor), "tags": len(last)},
        warns=True,
    )
