"""work_orders: orders as the ERP knows them.

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


def work_orders(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""

    @dataset_asset(
        plant,
        "work_orders",
        checks={
            "rows_are_accounted_for": "Is every row of every file stored, quarantined or a duplicate?",
            "orders_name_their_part": "Does every open order say which part it makes?",
        },
        partitioned=False,
        freshness=DAILY,
        pool=False,
    )
    def asset(context: dg.AssetExecutionContext, database: Database, places: Places) -> dg.MaterializeResult[Any]:
        from prodlytics.datasets.models import validate
        from prodlytics.db.frames import read
        from prodlytics.db.queries import sql

        numbers = load(plant, database, places, "work_orders")
        with database.connect() as conn:
            rows = read(conn, sql("select_work_orders"))
            checks = [schema_check(validate("work_orders", rows)), balance(conn, "work_orders"), _look(conn)]
        return dg.MaterializeResult(
            metadata={"dagster/row_count": len(rows), **numbers}, check_results=[check.result() for check in checks]
        )

    return asset


def _look(conn: psycopg.Connection) -> Check:
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
