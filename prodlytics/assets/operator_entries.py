"""operator_entries: what people said.

Belongs here: the declaration of this dataset, which is written from outside (tablets, files, other systems) and only
ever grows. It is not computed, so it cannot be materialized; what loads landed entries reports that it did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from prodlytics.assets.checks import Check
from prodlytics.assets.declare import OWNERS, asset_key, asset_metadata, resolved
from prodlytics.assets.landed import balance
from prodlytics.assets.resources import Database
from prodlytics.datasets.registry import DATASETS

if TYPE_CHECKING:
    from prodlytics.plant.model import Plant


def operator_entries(plant: Plant) -> dg.AssetSpec:
    """The external asset for this plant."""
    dataset = DATASETS["operator_entries"]
    return dg.AssetSpec(
        asset_key(plant, dataset.name),
        group_name=dataset.group,
        description=dataset.description,
        owners=OWNERS,
        kinds=set(dataset.kinds),
        metadata=asset_metadata(dataset),
    )


def operator_entries_checks(plant: Plant) -> list[dg.AssetChecksDefinition]:
    """Checks of a dataset nobody here computes: they run with the daily report."""

    @dg.asset_check(
        asset=asset_key(plant, "operator_entries"),
        name="schema",
        description="Do all rows have the declared columns, types, ranges and key?",
    )
    @resolved
    def schema(database: Database) -> dg.AssetCheckResult:
        from prodlytics.assets.checks import schema_check
        from prodlytics.datasets.models import validate
        from prodlytics.db.frames import read
        from prodlytics.db.queries import sql

        with database.connect() as conn:
            frame = read(conn, sql("select_recent_entries"))
        return schema_check(validate("operator_entries", frame)).result()

    @dg.asset_check(
        asset=asset_key(plant, "operator_entries"),
        name="rows_are_accounted_for",
        description="Is every row of every file stored, quarantined or a duplicate?",
    )
    @resolved
    def accounted(database: Database) -> dg.AssetCheckResult:
        with database.connect() as conn:
            return balance(conn, "operator_entries").result()

    @dg.asset_check(
        asset=asset_key(plant, "operator_entries"),
        name="stops_are_explained_in_time",
        description="Are reasons entered within five minutes of the start of a stop over two minutes?",
    )
    @resolved
    def in_time(database: Database) -> dg.AssetCheckResult:
        from prodlytics.db.queries import sql

        with database.connect() as conn:
            row = conn.execute(sql("select_entry_compliance")).fetchone()
        stops, in_time_count = row if row else (0, 0)
        return Check(
            "stops_are_explained_in_time",
            stops == 0 or in_time_count >= 0.5 * stops,
            f"Of {stops} stops over two minutes in the last seven days of data, {in_time_count} got a reason from an "
            "operator within five minutes.",
            {"stops": stops, "coded_in_time": in_time_count},
            warns=True,
        ).result()

    return [schema, accounted, in_time]
