"""audit_trail: who changed what and when.

Belongs here: the declaration of this dataset, which triggers of the database write (sql/audit.sql) and nobody changes.
It is not computed, so it cannot be materialized; it is archived like everything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from prodlytics.assets.declare import asset_key, external_asset, external_schema_check, resolved
from prodlytics.assets.resources import Database

if TYPE_CHECKING:
    from prodlytics.plant.model import Plant


def audit_trail(plant: Plant) -> dg.AssetSpec:
    """The external asset for this plant."""
    return external_asset(plant, "audit_trail")


def audit_trail_checks(plant: Plant) -> list[dg.AssetChecksDefinition]:
    """Checks of a dataset nobody here computes: they run when a day is closed."""

    @dg.asset_check(
        asset=asset_key(plant, "audit_trail"),
        name="is_append_only",
        description="Does the database itself refuse to change or delete what is in the trail?",
    )
    @resolved
    def append_only(database: Database) -> dg.AssetCheckResult:
        from prodlytics.assets.checks import Check
        from prodlytics.db.queries import sql

        with database.connect() as conn:
            row = conn.execute(sql("select_audit_guards")).fetchone()
        refuses, writer_may, watched = row or (False, True, 0)
        well = bool(refuses) and not writer_may
        return Check(
            "is_append_only",
            well,
            f"Changes are refused; {watched} tables are watched."
            if well
            else "The trigger or the rights of audit_trail were changed: run prodlytics migrate, and find out who did.",
            {"tables_watched": watched},
        ).result()

    return [external_schema_check(plant, "audit_trail", "select_recent_audit"), append_only]
