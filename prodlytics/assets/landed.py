"""What assets that load landed files have in common.

Belongs here: loading what is pending and saying how rows in reconcile with rows stored. Reading the files is
`prodlytics.sources`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prodlytics.assets.checks import Check

if TYPE_CHECKING:
    import psycopg

    from prodlytics.assets.resources import Database, Places
    from prodlytics.plant.model import Plant


def load(plant: Plant, database: Database, places: Places, dataset: str) -> dict[str, Any]:
    """Load every pending file of a dataset, each in a transaction of its own; numbers for the UI.

    Raises:
        DatabaseUnavailable: The database cannot be reached.
        LandingUnavailable: The landing place cannot be reached.
    """
    from prodlytics.sources.landing import load_pending

    report = load_pending(database.address(), plant, places.landing(), dataset=dataset)
    return {
        "files_loaded": report.files,
        "files_with_error": report.files_with_error,
        "rows_in": report.rows_in,
        "rows_stored": report.rows_stored,
        "rows_quarantined": report.rows_quarantined,
        "rows_duplicate": report.rows_duplicate,
    }


def balance(conn: psycopg.Connection, dataset: str) -> Check:
    """Whether every row that ever came in is accounted for."""
    from prodlytics.db.queries import sql

    row = conn.execute(sql("select_landing_balance"), {"dataset": dataset}).fetchone()
    files, rows_in, stored, quarantined, duplicate, broken = row or (0, 0, 0, 0, 0, 0)
    lost = rows_in - stored - quarantined - duplicate
    return Check(
        "rows_are_accounted_for",
        lost == 0,
        f"{rows_in} rows in = {stored} stored + {quarantined} quarantined + {duplicate} duplicates, from {files} files"
        + (f"; {lost} rows are unexplained: a defect of the loader." if lost else ".")
        + (f" {broken} files could not be read: see table landed_file, column error." if broken else ""),
        {
            "rows_in": rows_in,
            "rows_stored": stored,
            "rows_quarantined": quarantined,
            "rows_duplicate": duplicate,
            "files": files,
            "files_with_error": broken,
        },
    )
