"""Assets of tables that are loaded whole from landed files: orders, costs.

Belongs here: what they have in common. Does not belong here: the question each one's own check asks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import dagster as dg

from prodlytics.assets.checks import Check, schema_check
from prodlytics.assets.declare import DAILY, dataset_asset
from prodlytics.assets.landed import balance, load
from prodlytics.assets.resources import Database, Places

if TYPE_CHECKING:
    import psycopg

    from prodlytics.plant.model import Plant


def landed_table(
    plant: Plant, name: str, check: str, question: str, look: Callable[[psycopg.Connection[Any]], Check]
) -> dg.AssetsDefinition:
    """The asset of a landed table.

    Args:
        plant: The plant.
        name: Dataset; sql/queries/select_NAME.sql gives its rows.
        check: Name of its check of meaning.
        question: What that check asks.
        look: Evaluates it.
    """

    @dataset_asset(
        plant,
        name,
        checks={
            "rows_are_accounted_for": "Is every row of every file stored, quarantined or a duplicate?",
            check: question,
        },
        partitioned=False,
        freshness=DAILY,
        pool=False,
    )
    def asset(context: dg.AssetExecutionContext, database: Database, places: Places) -> dg.MaterializeResult[Any]:
        from prodlytics.datasets.models import validate
        from prodlytics.db.frames import read
        from prodlytics.db.queries import sql

        numbers = load(plant, database, places, name)
        with database.connect() as conn:
            rows = read(conn, sql(f"select_{name}"))
            checks = [schema_check(validate(name, rows)), balance(conn, name), look(conn)]
        return dg.MaterializeResult(
            metadata={"dagster/row_count": len(rows), **numbers}, check_results=[found.result() for found in checks]
        )

    return asset
