"""daily_report: yesterday on one page.

Belongs here: reading what the report of a production day needs and storing what came out. What it says and how it
looks is `prodlytics.report`.
"""

from __future__ import annotations

import datetime as dt
import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import dagster as dg

from prodlytics.assets.checks import Check, schema_check
from prodlytics.assets.declare import DAILY, dataset_asset
from prodlytics.assets.derive import worst_of_each
from prodlytics.assets.resources import Database
from prodlytics.assets.settings_version import version_of_run
from prodlytics.assets.window import day_edges, open_window

if TYPE_CHECKING:
    import pandas as pd
    import psycopg

    from prodlytics.assets.window import Window
    from prodlytics.plant.model import Plant
    from prodlytics.report.data import DailyData, Lever, Report


def daily_report(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""

    @dataset_asset(
        plant,
        "daily_report",
        deps=[
            "oee_hourly",
            "machine_time",
            "downtime_events",
            "scrap_events",
            "losses",
            "operator_entries",
            "oee_shift",
            "data_quality",
            "sensor_delivery",
        ],
        checks={"says_what_the_tables_say": "Is the OEE in the report the one of the tables?"},
        running_day=False,
        freshness=DAILY,
    )
    def asset(context: dg.AssetExecutionContext, database: Database) -> dg.MaterializeResult[Any]:
        from prodlytics.db import hot
        from prodlytics.db.plant_settings import hold
        from prodlytics.plant.calendar import production_date_of

        checks: list[Check] = []
        made, report = 0, None
        with database.connect() as conn:
            window = open_window(context, conn)
            hot.require(conn, "daily_report", window.start, window.end)
            conn.rollback()
            version = version_of_run(context, conn, plant)
            edges = day_edges(plant, window.start, window.end)
            for start, end in pairwise(edges):
                with conn.transaction():
                    hold(conn, version)
                    report, is_new, found = _make(
                        conn, version.plant, production_date_of(plant, start), start, end, window
                    )
                made += is_new
                checks += found
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(edges) - 1,
                "reports_written": made,
                "newest_report": dg.MetadataValue.md(f"```text\n{report.plain_text}\n```" if report else "no day"),
            },
            check_results=[check.result() for check in worst_of_each(checks)],
        )

    return asset


def _make(
    conn: psycopg.Connection[Any], plant: Plant, date: dt.date, start: dt.datetime, end: dt.datetime, window: Window
) -> tuple[Report, bool, list[Check]]:
    """Build and store the report of one day; one that says the same as before is not touched."""
    from prodlytics.datasets.models import validate
    from prodlytics.db.dirty import claim
    from prodlytics.db.frames import read
    from prodlytics.db.locks import lock_dataset
    from prodlytics.db.queries import sql
    from prodlytics.report.daily import build

    lock_dataset(conn, "daily_report")
    claim(conn, "daily_report", start, end)
    data = _read(conn, plant, date, start, end)
    report = build(data)
    oee = report.summary["plant_oee"]
    written = conn.execute(
        sql("upsert_report"),
        {
            "production_date": date,
            "plant_oee": oee,
            "summary": json.dumps(report.summary),
            "html": report.html,
            "plain_text": report.plain_text,
            "fingerprint": report.fingerprint,
            "as_of": window.as_of,
        },
    ).rowcount
    stored = read(conn, sql("select_report"), {"production_date": date})
    return report, bool(written), [schema_check(validate("daily_report", stored)), _same_oee(conn, date, oee)]


def _read(
    conn: psycopg.Connection[Any], plant: Plant, date: dt.date, start: dt.datetime, end: dt.datetime
) -> DailyData:
    from prodlytics.db.frames import read
    from prodlytics.db.queries import sql
    from prodlytics.report.data import DAYS_BEFORE, DailyData

    span = {"date": date, "first": date - dt.timedelta(days=DAYS_BEFORE), "start": start, "end": end}
    losses = read(conn, sql("select_losses_of_day"), span)
    return DailyData(
        plant=plant,
        production_date=date,
        oee=read(conn, sql("select_oee_of_day"), span),
        previous_oee=read(conn, sql("select_oee_of_days_before"), span),
        ledger=read(conn, sql("select_ledger_of_day"), span),
        stops=read(conn, sql("select_stops_of_day"), span),
        scrap=read(conn, sql("select_scrap_of_day"), span),
        losses=losses,
        restatements=read(conn, sql("select_restatements_of_day"), span),
        quarantine=read(conn, sql("count_quarantine_of_day"), span),
        quality=read(conn, sql("select_quality_of_week"), {"last": date, "days": 7}),
        delivery=read(conn, sql("select_delivery_of_day"), span),
        lever=_lever(conn, plant, losses, date),
    )


def _lever(conn: psycopg.Connection[Any], plant: Plant, losses: pd.DataFrame, date: dt.date) -> Lever | None:
    """A third less of the cause that cost the day most: what it would have brought in the whole weeks before."""
    from prodlytics.ops.what_if import NothingToAskError, ask
    from prodlytics.report.data import LEVER_SHARE, Lever
    from prodlytics.report.figures import largest_cause

    cause = largest_cause(losses)
    if cause is None:
        return None
    try:
        _, answer = ask(conn, plant, cause, LEVER_SHARE, until=date)
    except NothingToAskError as error:
        return Lever(cause, LEVER_SHARE, str(error))
    return Lever(cause, LEVER_SHARE, answer)


def _same_oee(conn: psycopg.Connection[Any], date: dt.date, said: Any) -> Check:
    """Compare with the table in SQL: a way to the number that shares nothing with the report's."""
    from prodlytics.db.queries import sql

    row = conn.execute(sql("select_plant_oee_of_day"), {"date": date}).fetchone()
    stored = row[0] if row else None
    same = said == stored or (None not in (said, stored) and abs(said - stored) < 1e-9)
    return Check(
        "says_what_the_tables_say",
        same,
        f"Report of {date}: OEE {said}, tables: {stored}.",
        {"report": str(said), "tables": str(stored)},
    )
