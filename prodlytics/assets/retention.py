"""retention: archived days leave the hot tables.

Belongs here: running the gate over every dataset and showing what went, what stays and why, and what waits for a
restore. The gate is `prodlytics.archive.retention`.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import dagster as dg

from prodlytics.assets.checks import Check
from prodlytics.assets.declare import DAILY, described, upkeep_asset
from prodlytics.assets.resources import Database, Places
from prodlytics.datasets.registry import DATASETS

if TYPE_CHECKING:
    from prodlytics.archive.retention import Verdict
    from prodlytics.plant.model import Plant

#: A day that should have gone and stays for so long needs eyes.
OVERDUE = dt.timedelta(days=7)
_COLUMNS = {
    "dataset": ("text", "What was looked at."),
    "start": ("timestamp", "First instant of the day or chunk."),
    "end": ("timestamp", "Last instant, excluded."),
    "rows": ("integer", "Rows of the table in it."),
    "action": ("text", "goes (dry run), dropped or stays."),
    "why": ("text", "Why it stays."),
}


class RetentionConfig(dg.Config):
    """How to run it."""

    dry_run: bool = False


def retention(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""

    @upkeep_asset(
        plant,
        "retention",
        deps=[f"archive/{name}" for name, one in DATASETS.items() if one.keep_hot_days is not None],
        description="Days that are archived, verified and old enough leave the hot tables; anything else stays.",
        columns=_COLUMNS,
        checks={
            "schema": "Do the archived files of old days have the columns of the tables?",
            "nothing_is_overdue": "Does no old day stay in the hot tables for more than a week?",
            "nothing_needs_restore": "Does no change wait for a day that is only in the archive?",
        },
        freshness=DAILY,
    )
    def asset(
        context: dg.AssetExecutionContext, config: RetentionConfig, database: Database, places: Places
    ) -> dg.MaterializeResult[Any]:
        from prodlytics.archive.retention import compress, retain, retained
        from prodlytics.archive.store import ArchiveStore
        from prodlytics.db import dirty, hot

        now = dt.datetime.now(dt.UTC)
        verdicts: list[Verdict] = []
        with database.connect() as conn:
            dirty.settle_arrivals(conn)
            conn.commit()
            store = ArchiveStore(places.archive())
            for dataset in retained():
                verdicts += retain(conn, store, plant, dataset, now, drop=not config.dry_run)
            compressed = 0 if config.dry_run else compress(conn, now)
            waiting = hot.waiting(conn)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(verdicts),
                "dry_run": config.dry_run,
                "rows_dropped": sum(verdict.rows for verdict in verdicts if verdict.action == "dropped"),
                "chunks_compressed": compressed,
                "verdicts": dg.MetadataValue.table(
                    [dg.TableRecord({name: str(getattr(one, name)) for name in _COLUMNS}) for one in verdicts[:500]],
                    schema=described(_COLUMNS),
                ),
            },
            check_results=[check.result() for check in _look(verdicts, waiting, now)],
        )

    return asset


def _look(verdicts: list[Verdict], waiting: list[dict[str, Any]], now: dt.datetime) -> list[Check]:
    from prodlytics.archive.retention import OTHER_COLUMNS

    staying = [one for one in verdicts if one.action == "stays"]
    other = [one for one in staying if one.why.startswith(OTHER_COLUMNS)]
    overdue = [
        one
        for one in staying
        if "kept until" not in one.why
        and one.end + dt.timedelta(days=DATASETS[one.dataset].keep_hot_days or 0) < now - OVERDUE
    ]
    return [
        Check("schema", not other, other[0].why if other else "Every file looked at has the table's columns."),
        Check(
            "nothing_is_overdue",
            not overdue,
            f"{len(overdue)} units stay, the oldest {overdue[0].dataset} of {overdue[0].start:%Y-%m-%d}: "
            f"{overdue[0].why}."
            if overdue
            else "No old day had to stay.",
            {"units_staying": len(staying)},
            warns=True,
        ),
        Check(
            "nothing_needs_restore",
            not waiting,
            "; ".join(
                f"{one['marks']} marks of {one['dataset']} from {one['first']:%Y-%m-%d} to {one['last']:%Y-%m-%d} wait "
                f"for prodlytics restore ({one['cause']})"
                for one in waiting
            )
            or "Nothing waits for a restore.",
            warns=True,
        ),
    ]
