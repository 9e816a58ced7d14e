"""backup: the weekly backup, restored into a scratch database to prove it.

Belongs here: running it and saying what came of it. How is `prodlytics.archive.backup`.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import dagster as dg

from prodlytics.assets.checks import Check
from prodlytics.assets.declare import upkeep_asset
from prodlytics.assets.resources import Database, Places
from prodlytics.datasets.registry import DATASETS

if TYPE_CHECKING:
    from prodlytics.plant.model import Plant

_WEEKLY = dg.FreshnessPolicy.time_window(fail_window=dt.timedelta(days=15), warn_window=dt.timedelta(days=8))
_COLUMNS = {
    "name": ("text", "Folder of the backup."),
    "size_bytes": ("integer", "All its files."),
    "row_count": ("integer", "Rows of all tables."),
    "sample_count": ("integer", "Samples that are not in the archive."),
}


class BackupConfig(dg.Config):
    """How to run it."""

    prove: bool = True


def backup(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""

    @upkeep_asset(
        plant,
        "backup",
        deps=["archive/machine_telemetry", *DATASETS],
        description="Everything the archive does not hold, weekly, restored into a scratch database and counted.",
        columns=_COLUMNS,
        checks={
            "schema": "Does the restored database have the tables?",
            "restores": "Does every row of every table come back in a scratch database?",
        },
        freshness=_WEEKLY,
    )
    def asset(
        context: dg.AssetExecutionContext, config: BackupConfig, database: Database, places: Places
    ) -> dg.MaterializeResult[Any]:
        from prodlytics.archive.backup import make_backup, prove, record
        from prodlytics.archive.errors import ArchiveError
        from prodlytics.archive.store import ArchiveStore

        store, url = ArchiveStore(places.archive()), database.address()
        made = make_backup(url, store, plant, dt.datetime.now(dt.UTC))
        restored, problem = None, "not tried" if not config.prove else None
        if config.prove:
            try:
                restored = prove(store, made.name, url)
            except ArchiveError as error:
                # The backup is there; that it was not proven is what the check says.
                problem = str(error)
            else:
                problem = "; ".join(f"{table}: {was} rows, {now} restored" for table, (was, now) in
                                    restored.differing.items()) or None  # fmt: skip
        with database.connect() as conn:
            record(conn, made, restored, problem)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": sum(made.rows.values()),
                "name": made.name,
                "size_bytes": made.size_bytes,
                "samples": made.samples,
                "took_s": made.took_s,
                "restore_took_s": restored.took_s if restored else "not restored",
            },
            check_results=[
                Check(
                    "schema",
                    restored is not None and restored.tables == len(made.rows),
                    f"{restored.tables} tables were restored." if restored else f"Not restored: {problem}",
                    warns=True,
                ).result(),
                Check(
                    "restores",
                    problem is None,
                    problem or f"All {sum(made.rows.values())} rows and {made.samples} samples came back.",
                ).result(),
            ],
        )

    return asset
