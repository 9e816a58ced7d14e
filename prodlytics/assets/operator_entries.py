"""operator_entries: what people said.

Belongs here: the declaration of this dataset, which is written from outside (tablets, files, other systems) and only
ever grows. It is not computed, so it cannot be materialized; what loads landed entries reports that it did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from prodlytics.assets.declare import asset_key, external_asset, external_schema_check, resolved
from prodlytics.assets.landed import balance
from prodlytics.assets.resources import Database
from prodlytics.datasets.fields import STOP_KINDS

if TYPE_CHECKING:
    from prodlytics.plant.model import Plant


def operator_entries(plant: Plant) -> dg.AssetSpec:
    """The external asset for this plant."""
    return external_asset(plant, "operator_entries")


def operator_entries_checks(plant: Plant) -> list[dg.AssetChecksDefinition]:
    """Checks of a dataset nobody here computes: they run with the daily report."""

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
        description="Do stops that need a reason get one from a person in time? The guide: over 2 minutes, within 5.",
    )
    @resolved
    def in_time(database: Database) -> dg.AssetCheckResult:
        from prodlytics.assets.data_quality import DAYS_LOOKED_AT, in_time_check
        from prodlytics.db.frames import read
        from prodlytics.db.queries import sql

        with database.connect() as conn:
            week = read(conn, sql("select_quality_of_week"), {"last": None, "days": DAYS_LOOKED_AT})
            row = conn.execute(sql("select_anyone_explains"), {"kinds": list(STOP_KINDS)}).fetchone()
        return in_time_check(week, plant.thresholds, bool(row and row[0])).result()

    return [external_schema_check(plant, "operator_entries", "select_recent_entries"), accounted, in_time]
