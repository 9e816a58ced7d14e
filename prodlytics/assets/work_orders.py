"""work_orders: orders as the ERP knows them.

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


def work_orders(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""
    return landed_table(
        plant,
        "work_orders",
        "orders_name_their_part",
        "Does every open order say which part it makes?",
        _look,
    )


def _look(conn: psycopg.Connection[Any]) -> Check:
    from prodlytics.db.queries import sql

    row = conn.execute(sql("count_orders_without_part")).fetchone()
    total, nameless = row or (0, 0)
    return Check(
        "orders_name_their_part",
        nameless == 0,
        f"{nameless} of {total} open orders do not say which part they make.",
        {"orders_open": total, "orders_without_part": nameless},
        warns=True,
    )
