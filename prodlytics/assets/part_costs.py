"""part_costs: what a part costs, and since when.

Belongs here: the question asked of this dataset. Loading it is `landed_table`; adapters to ERPs write the same table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prodlytics.assets.checks import Check
from prodlytics.assets.landed_table import landed_table

if TYPE_CHECKING:
    import dagster as dg
    import psycopg

    from prodlytics.plant.model import Plant


def part_costs(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""
    return landed_table(
        plant,
        "part_costs",
        "parts_made_have_a_cost",
        "Does every part that was made have a material cost?",
        _look,
    )


def _look(conn: psycopg.Connection[Any]) -> Check:
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
