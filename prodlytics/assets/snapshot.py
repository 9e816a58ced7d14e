"""Small tables that are always written whole.

Belongs here: replacing such a table in one transaction, touching only rows that differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from prodlytics.assets.checks import Check, schema_check
from prodlytics.datasets.models import validate
from prodlytics.datasets.registry import DATASETS

if TYPE_CHECKING:
    import pandas as pd

    from prodlytics.assets.resources import Database


def replace_snapshot(
    database: Database, name: str, rows: pd.DataFrame, checks: list[Check], **metadata: Any
) -> dg.MaterializeResult[Any]:
    """Make a table equal to `rows`; what the schema check refuses is not written and fails the check.

    `metadata` is shown in the UI beside the counts.
    """
    from prodlytics.db.locks import lock_dataset
    from prodlytics.db.replace import replace_rows

    validation = validate(name, rows)
    with database.connect() as conn, conn.transaction():
        lock_dataset(conn, name)
        changes = replace_rows(conn, name, list(DATASETS[name].key), validation.good, "true", {})
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(validation.good),
            "rows_inserted": changes.inserted,
            "rows_updated": changes.updated,
            "rows_deleted": changes.deleted,
            **metadata,
        },
        check_results=[check.result() for check in (schema_check(validation), *checks)],
    )
