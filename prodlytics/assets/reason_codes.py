"""reason_codes: the reason tree of plant.yaml as a table.

Belongs here: one row per reason and one per category (for stops of which only the first level is known).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from prodlytics.assets.checks import Check
from prodlytics.assets.declare import DAILY, dataset_asset
from prodlytics.assets.resources import Database
from prodlytics.assets.snapshot import replace_snapshot
from prodlytics.datasets.registry import DATASETS

if TYPE_CHECKING:
    from prodlytics.plant.model import Plant


def reason_codes(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""

    @dataset_asset(
        plant,
        "reason_codes",
        checks={"entries_use_known_codes": "Is every reason people entered in the tree?"},
        partitioned=False,
        freshness=DAILY,
    )
    def asset(context: dg.AssetExecutionContext, database: Database) -> dg.MaterializeResult[Any]:
        import pandas as pd

        rows = pd.DataFrame(
            [
                {
                    "reason_code": code,
                    "reason_name": name,
                    "reason_category": category.code,
                    "category_name": category.name,
                    "loss": category.loss,
                    "is_equipment": category.equipment,
                    "is_other": code in plant.other_reasons,
                }
                for category in plant.reasons
                for code, name in [(category.code, category.name), *((r.code, r.name) for r in category.reasons)]
            ],
            # A plant whose reasons nobody wrote down yet has an empty table.
            columns=list(DATASETS["reason_codes"].columns),
        ).astype({"is_equipment": bool, "is_other": bool})
        return replace_snapshot(database, "reason_codes", rows, [_known_codes(database, set(rows["reason_code"]))])

    return asset


def _known_codes(database: Database, known: set[str]) -> Check:
    with database.connect() as conn:
        used = conn.execute(
            "SELECT reason_code, count(*) FROM operator_entries WHERE reason_code IS NOT NULL GROUP BY reason_code"
        ).fetchall()
    strange = {code: count for code, count in used if code not in known}
    return Check(
        "entries_use_known_codes",
        not strange,
        "Entries use codes that are not in the plant file: "
        + ", ".join(f"{code} ({count} times)" for code, count in sorted(strange.items()))
        + ". Add them to `reasons`; until then their stops count as without a reason."
        if strange
        else "Every reason that was entered is in the tree.",
        {"codes_used": len(used), "codes_unknown": len(strange)},
    )
