"""archive/*: one asset per archived dataset, made from the registry.

Belongs here: which days and datasets are archived, and what the UI shows of it. How a day becomes a verified file is
`prodlytics.archive`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import dagster as dg

from prodlytics import __version__
from prodlytics.assets.checks import Check
from prodlytics.assets.declare import (
    DAILY,
    OWNERS,
    accepted_betas,
    asset_key,
    check_specs,
    column_schema,
    resolved,
)
from prodlytics.assets.resources import Database, Places
from prodlytics.datasets.registry import DATASETS, Dataset
from prodlytics.partitions import production_days

if TYPE_CHECKING:
    from prodlytics.archive.write import ArchiveResult
    from prodlytics.plant.model import Plant


def archive_assets(plant: Plant) -> list[dg.AssetsDefinition]:
    """The archive assets of this plant."""
    return [_archive_asset(plant, dataset) for dataset in DATASETS.values() if dataset.archived]


def _archive_asset(plant: Plant, dataset: Dataset) -> dg.AssetsDefinition:
    name = f"archive/{dataset.name}"
    days = production_days(plant, running=False)

    def asset(context: dg.AssetExecutionContext, database: Database, places: Places) -> dg.MaterializeResult[Any]:
        from prodlytics.archive.store import ArchiveStore
        from prodlytics.archive.write import Day, archive_days
        from prodlytics.assets.window import day_edges
        from prodlytics.db import dirty, hot
        from prodlytics.plant.calendar import production_date_of

        window = context.partition_time_window
        edges = day_edges(plant, window.start, window.end)
        wanted = [Day(production_date_of(plant, start), start, end) for start, end in pairwise(edges)]
        with database.connect() as conn:
            with conn.transaction():
                dirty.settle_arrivals(conn)
            # A day that was dropped keeps its file: archived again it would be that of an empty table.
            whole = [day for day in wanted if hot.is_hot(conn, dataset.name, day.start, day.end)]
            # Claimed before the rows are read: what changes meanwhile leaves a new mark.
            for day in whole:
                dirty.claim(conn, name, day.start, day.end)
            conn.commit()
            results = archive_days(conn, ArchiveStore(places.archive()), plant.plant, dataset, whole, __version__)
            conn.commit()
            checks = _look(conn, dataset, results)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": sum(result.row_count for result in results),
                "days": len(results),
                "days_only_in_the_archive": len(wanted) - len(whole),
                "files_written": sum(result.action != "unchanged" for result in results),
                "size_bytes": sum(result.size_bytes for result in results),
                "newest_file": results[-1].path if results else "none",
                "content_hash": results[-1].content_hash if results else "none",
            },
            check_results=[check.result() for check in checks],
        )

    with accepted_betas():
        return dg.asset(
            resolved(asset),
            key=asset_key(plant, name),
            deps=[asset_key(plant, dataset.name)],
            group_name="archive",
            owners=OWNERS,
            description=f"Closed production days of {dataset.name} as verified Parquet, one current file per day.",
            kinds={"parquet"},
            metadata={"dagster/column_schema": column_schema(dataset)},
            partitions_def=days,
            backfill_policy=dg.BackfillPolicy.single_run(),
            freshness_policy=DAILY,
            pool=f"{plant.plant}/archive",
            check_specs=check_specs(
                asset_key(plant, name),
                {
                    "schema": "Does every file hold the declared columns?",
                    "files_match_the_table": "Does every stored file read back as the rows of its day?",
                },
            ),
        )


def _look(conn: Any, dataset: Dataset, results: list[ArchiveResult]) -> list[Check]:
    from prodlytics.db.queries import sql

    dates = [result.production_date for result in results]
    rows = conn.execute(sql("select_archived_days"), {"dataset": dataset.name, "dates": dates}).fetchall()
    unverified = sorted(set(dates) - {date for date, _, _ in rows})
    missing = sorted(
        {
            column
            for _, _, schema in rows
            for column in dataset.columns
            if column not in {described["name"] for described in schema["columns"]}
        }
    )
    return [
        Check(
            "schema",
            not missing,
            f"Columns missing in the files: {', '.join(missing)}."
            if missing
            else "Every file has the declared columns.",
            {"days": len(rows)},
        ),
        Check(
            "files_match_the_table",
            not unverified,
            f"Without a verified file: {', '.join(map(str, unverified))}. Run the asset again for these days."
            if unverified
            else f"{len(rows)} days have one verified file each.",
            {"days_verified": len(rows), "rows": sum(count for _, count, _ in rows)},
        ),
    ]
