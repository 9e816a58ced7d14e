"""part_costs: what a part costs, and since when.

Belongs here: loading landed CSV files of this dataset and looking at the result. Adapters to ERPs write the same table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from prodlytics.assets.checks import Check, schema_check
from prodlytics.assets.declare import DAILY, dataset_asset
from prodlytics.assets.landed import balance, load
from prodlytics.assets.resources import Database, Places

if TYPE_CHECKING:
    import psycopg

    from prodlytics.plant.model import Plant


def part_costs(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""

    @dataset_asset(
        plant,
        "part_costs",
        checks={
            "rows_are_accounted_for": "Is every row of every file stored, quarantined or a duplicate?",
            "parts_made_have_a_cost": "Does every part that was made have a material cost?",
        },
        partitioned=False,
        freshness=DAILY,
        pool=False,
    )
    def asset(context: dg.AssetExecutionContext, database: Database, places: Places) -> dg.MaterializeResult[Any]:
        from prodlytics.datasets.models import validate
        from prodlytics.db.frames import read
        from prodlytics.db.queries import sql

        numbers = load(plant, database, places, "part_costs")
        with database.connect() as conn:
            rows = read(conn, sql("select_part_costs"))
            checks = [schema_check(validate("part_costs", rows)), balance(conn, "part_costs"), _look(conn)]
        return dg.MaterializeResult(
            metadata={"dagster/row_count": len(rows), **numbers}, check_results=[check.result() for check in checks]
        )

    return asset


def _look(conn: psycopg.Connection) -> Check:
    from prodlytics.db.queries import sql

    parts = [part for (part,) in conn.execute(sql("select_parts_without_cost")).fetchall()]
    return Check(
        "parts_made_have_a_cost",
        not parts,
        "No material cost for " + ", ".join(parts[:10]) + ": scrap of these parts has no money in the report."
        if parts
        else "Every part with an order has a material cost.",
        {"parts_without_cost": len(parts)},
        warns=True,
    )
