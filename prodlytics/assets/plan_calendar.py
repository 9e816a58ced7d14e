"""plan_calendar: what the plant planned for each machine, to the minute.

Belongs here: writing the calendar of the window. The calendar itself is `prodlytics.plant.calendar`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from prodlytics.assets.checks import Check
from prodlytics.assets.declare import dataset_asset
from prodlytics.assets.derive import Derivation, rederive
from prodlytics.assets.resources import Database
from prodlytics.assets.window import Window, day_edges

if TYPE_CHECKING:
    import psycopg

    from prodlytics.plant.model import Plant


def plan_calendar(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""

    @dataset_asset(
        plant,
        "plan_calendar",
        checks={"covers_every_second": "Does the plan say something about every second of every machine, once?"},
    )
    def asset(context: dg.AssetExecutionContext, database: Database) -> dg.MaterializeResult[Any]:
        return rederive(context, plant, database, "plan_calendar", _compute)

    return asset


def _compute(conn: psycopg.Connection, plant: Plant, window: Window) -> Derivation:
    from prodlytics.assets.inputs import seconds, together
    from prodlytics.kpi.days import cut_at
    from prodlytics.plant.calendar import plan_rows

    edges = day_edges(plant, window.start, window.end)
    frames = [plan_rows(plant, machine, window.start, window.end) for machine in plant.machines]
    rows = cut_at(together(frames), edges)
    told = seconds(rows)
    asked = (window.end - window.start).total_seconds() * len(plant.machines)
    planned = rows.loc[rows["plan"] == "planned"]
    return Derivation(
        rows,
        "starts_at >= %(start)s AND starts_at < %(end)s",
        {"start": window.start, "end": window.end},
        checks=(
            Check(
                "covers_every_second",
                told == asked,
                "The plan covers every second of every machine."
                if told == asked
                else f"The plan says {told:.0f} s, the window has {asked:.0f} s: look for overlapping shifts in the "
                "plant file.",
                {"seconds_planned_for": told, "seconds_in_window": asked},
            ),
        ),
        numbers={"planned_machine_hours": seconds(planned) / 3600},
    )
