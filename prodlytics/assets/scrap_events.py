"""scrap_events: rejected parts with reason and money.

Belongs here: widening the window to the entries that reach across its edges, reading rejects, entries and costs. Which
reason goes to which reject: `prodlytics.kpi`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from prodlytics.assets.checks import Check
from prodlytics.assets.declare import dataset_asset
from prodlytics.assets.derive import Derivation, rederive
from prodlytics.assets.resources import Database
from prodlytics.assets.window import Window

if TYPE_CHECKING:
    import pandas as pd
    import psycopg

    from prodlytics.plant.model import Plant


def scrap_events(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""

    @dataset_asset(
        plant,
        "scrap_events",
        deps=["production_events", "operator_entries", "part_costs", "plan_calendar"],
        checks={
            "scrap_equals_rejects": "Is every part a machine rejected in here exactly once?",
            "scrap_has_a_cost": "Is it known what the scrap cost?",
        },
    )
    def asset(context: dg.AssetExecutionContext, database: Database) -> dg.MaterializeResult[Any]:
        return rederive(context, plant, database, "scrap_events", _compute)

    return asset


def _compute(conn: psycopg.Connection, plant: Plant, window: Window) -> Derivation:
    from prodlytics.assets.inputs import as_arrays, of_each, span_of_each, together, widened
    from prodlytics.db.frames import read
    from prodlytics.db.queries import sql
    from prodlytics.kpi.scrap_events import derive_scrap_events

    costs = read(conn, sql("select_part_costs"))
    rows, rejected, scrapped = [], 0.0, 0.0
    spans = widened(conn, "select_scrap_span", span_of_each(plant, window.start, window.end))
    for machine, events, entries, plan in of_each(
        conn, plant, spans, "select_rejects", "select_entries", "select_plan"
    ):
        start, end = spans[machine.id]
        scrap = derive_scrap_events(plant, machine, events, entries, costs, plan, start, end, window.as_of)
        # A neighbouring day that was never planned is not derived here either: its own run will do it.
        inside = (scrap["time"] >= window.start) & (scrap["time"] < window.end)
        rows.append(scrap[inside | scrap["production_date"].notna()])
        if events["reject_count"].sum() > 0:
            rejected += float(events["reject_count"].sum())
            scrapped += float(scrap["quantity"].sum())
    frame = together(rows)
    return Derivation(
        frame,
        "EXISTS (SELECT FROM unnest(%(machines)s::text[], %(starts)s::timestamptz[], %(ends)s::timestamptz[])"
        " AS span (machine_id, starts_at, ends_at)"
        " WHERE span.machine_id = t.machine_id AND time >= span.starts_at AND time < span.ends_at)",
        as_arrays(spans),
        checks=(
            Check(
                "scrap_equals_rejects",
                rejected == scrapped,
                f"Machines rejected {rejected:.0f} parts, scrap_events has {scrapped:.0f} of them.",
                {"rejected": rejected, "scrapped": scrapped},
            ),
            _priced(frame),
        ),
        numbers={"scrap_parts": float(frame["quantity"].sum())},
    )


def _priced(scrap: pd.DataFrame) -> Check:
    nameless = scrap.loc[scrap["material_cost"].isna(), "part_number"]
    parts = ", ".join(sorted({"(no part number)" if part is None else str(part) for part in nameless})[:5])
    return Check(
        "scrap_has_a_cost",
        nameless.empty,
        "Every scrapped part has a material cost."
        if nameless.empty
        else f"{len(nameless)} of {len(scrap)} scrap rows have no material cost ({parts}): the money in the report is "
        "too low. Load part_costs for them.",
        {"rows_without_cost": len(nameless)},
        warns=True,
    )
