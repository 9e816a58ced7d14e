"""What a materialization of the OEE shows beside its numbers: the hours, and one of them taken apart.

Belongs here: choosing what to show. Does not belong here: how it looks (`prodlytics.report`), what made the numbers
(`prodlytics.kpi.explain`).
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    import pandas as pd
    import psycopg

    from prodlytics.assets.window import Window
    from prodlytics.plant.model import Plant

HOUR = dt.timedelta(hours=1)
#: A longer window shows its days; nobody reads the last hour of a year that was computed anew.
ONE_DAY = dt.timedelta(hours=25)


def shown_hours(conn: psycopg.Connection[Any], plant: Plant, window: Window, hours: pd.DataFrame) -> dict[str, Any]:
    """Metadata for the UI: the table of hours or days and, for one day, the weakest machine's newest closed hour."""
    from prodlytics.report.explain_markdown import hours_table

    shown = {"hours": dg.MetadataValue.md(hours_table(plant, hours))}
    if window.end - window.start <= ONE_DAY:
        explained = _newest_closed(conn, plant, window, hours)
        if explained is not None:
            shown["newest_closed_hour"] = dg.MetadataValue.md(explained)
    return shown


def _newest_closed(conn: psycopg.Connection[Any], plant: Plant, window: Window, hours: pd.DataFrame) -> str | None:
    from prodlytics.kpi.explain import explain, stored_rows
    from prodlytics.ops.explain import read_background, read_material
    from prodlytics.report.explain_markdown import hour_as_markdown

    closed = hours[(hours["time_bucket"] + HOUR <= window.as_of) & hours["oee"].notna()]
    if closed.empty:
        return None
    newest = closed[closed["time_bucket"] == closed["time_bucket"].max()]
    row = stored_rows(newest.nsmallest(1, "oee"))[0]
    starts_at = row["time_bucket"]
    material = read_material(conn, plant, plant.machine(row["machine_id"]), starts_at, starts_at + HOUR)
    return hour_as_markdown(explain(material, row, read_background(conn, material, starts_at, starts_at + HOUR)))
