"""Which production days can be read from the hot tables, and what waits for a restore.

Belongs here: the one rule about data that is only in the archive. Nothing is computed from a day that was dropped, and
a dropped day is never archived again: both would replace good figures by those of an empty table. Dirty marks of such
days stay and wait. Does not belong here: dropping and restoring (`prodlytics.archive`).
"""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from prodlytics.datasets.registry import DATASETS
from prodlytics.db.queries import sql

if TYPE_CHECKING:
    import psycopg

#: A derivation looks at what was before its window: the state in force, the last readings of a counter. Over a weekend
#: a tag that is published on change says nothing.
MARGIN = dt.timedelta(days=3)


class NeedsRestoreError(Exception):
    """A window cannot be computed: what it is computed from is only in the archive. The text says what to run."""


def inputs_of(dataset: str) -> list[str]:
    """The datasets a dataset is computed from; of `archive/NAME` that is NAME."""
    if dataset.startswith("archive/"):
        return [dataset.removeprefix("archive/")]
    return [name for name, one in DATASETS.items() if dataset in one.downstream]


def of_marks() -> dict[str, Any]:
    """What the queries about marks need to know of the registry."""
    names = [*DATASETS, *(f"archive/{name}" for name, one in DATASETS.items() if one.archived)]
    return {"inputs": json.dumps({name: inputs_of(name) for name in names}), "margin": MARGIN}


def is_hot(conn: psycopg.Connection[Any], dataset: str, start: dt.datetime, end: dt.datetime) -> bool:
    """Whether a dataset is whole in the hot tables over [start, end)."""
    return _is_hot(conn, [dataset], start, end)


def require(conn: psycopg.Connection[Any], dataset: str, start: dt.datetime, end: dt.datetime) -> None:
    """See to it that a dataset can be computed over [start, end).

    Raises:
        NeedsRestoreError: Something it is computed from was dropped and not restored.
    """
    for name in (dataset, *inputs_of(dataset)):
        first = start if name == dataset else start - MARGIN
        if not _is_hot(conn, [name], first, end):
            raise NeedsRestoreError(
                f"{dataset} from {start:%Y-%m-%d} cannot be computed: {name} of these days is only in the archive. "
                f"Run prodlytics restore {name} {first:%Y-%m-%d} {end:%Y-%m-%d} first."
            )


def waiting(conn: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    """What waits for a restore: dataset, machines, first and last quarter hour, marks, a cause."""
    with conn.cursor() as cursor:
        cursor.execute(sql("select_needs_restore"), of_marks())
        names = [column.name for column in cursor.description or []]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _is_hot(conn: psycopg.Connection[Any], names: list[str], start: dt.datetime, end: dt.datetime) -> bool:
    row = conn.execute("SELECT is_hot(%s::text[], %s, %s)", (names, start, end)).fetchone()
    return bool(row and row[0])
