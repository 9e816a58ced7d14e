"""Archived days back into tables.

Belongs here: rows of a verified file beside what a table has, each day in a transaction of its own, so that an
interrupted restore goes on where it stopped. Does not belong here: what is computed from them.
"""

from __future__ import annotations

import datetime as dt
import io
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psycopg
import pyarrow.csv as pacsv
from psycopg import sql as compose

from prodlytics.archive import manifest
from prodlytics.archive.errors import ArchiveError, archive_errors
from prodlytics.archive.manifest import ManifestEntry
from prodlytics.archive.parquet import read_batches, read_fields
from prodlytics.archive.shape import COPY_TYPES
from prodlytics.archive.store import ArchiveStore
from prodlytics.archive.write import Day
from prodlytics.datasets.registry import Dataset
from prodlytics.db.locks import lock
from prodlytics.db.queries import sql

#: For how long retention leaves a restored day where it is.
KEEP = dt.timedelta(days=14)


@dataclass(frozen=True)
class RestoredDay:
    """What became of one day.

    Attributes:
        action: `restored`, `already` (by an earlier run), `waiting` (asked back from the archive tier), `not_archived`.
        rows: Rows of the file.
        added: Rows that were not in the table.
    """

    production_date: dt.date
    action: Literal["restored", "already", "waiting", "not_archived"]
    rows: int = 0
    added: int = 0


def restore_days(
    conn: psycopg.Connection[Any],
    store: ArchiveStore,
    dataset: Dataset,
    days: Iterable[Day],
    *,
    keep: dt.timedelta = KEEP,
    say: Callable[[RestoredDay], None] = lambda _: None,
) -> list[RestoredDay]:
    """Bring archived days back beside what is there; twice or interrupted gives the same rows.

    Args:
        conn: Outside a transaction; each day commits.
        store: Where the archive lies.
        dataset: Which dataset.
        days: Production days.
        keep: For how long retention leaves them.
        say: Called after each day.

    Raises:
        ArchiveError: A file is missing, damaged or cannot be read; the days before it are restored.
    """
    done = []
    for day in days:
        with conn.transaction():
            lock(conn, f"restore/{dataset.name}")
            found = _restore(conn, store, dataset, day, keep)
        say(found)
        done.append(found)
    return done


def _restore(
    conn: psycopg.Connection[Any], store: ArchiveStore, dataset: Dataset, day: Day, keep: dt.timedelta
) -> RestoredDay:
    entry = manifest.current(conn, dataset.name, day.production_date)
    if entry is None:
        return RestoredDay(day.production_date, "not_archived")
    until = dt.datetime.now(dt.UTC) + keep
    known = conn.execute(
        "UPDATE restored_day SET keep_until = greatest(keep_until, %s)"
        " WHERE dataset = %s AND production_date = %s AND content_hash = %s RETURNING row_count",
        (until, dataset.name, day.production_date, entry.content_hash),
    ).fetchone()
    if known:
        return RestoredDay(day.production_date, "already", known[0])
    if not store.is_readable(entry.path):
        return RestoredDay(day.production_date, "waiting", entry.row_count)
    added = load_file(conn, store, entry, dataset.name)
    conn.execute(
        sql("upsert_restored_day"),
        {
            "dataset": dataset.name, "date": day.production_date, "start": day.start, "end": day.end,
            "content_hash": entry.content_hash, "rows": entry.row_count, "added": added, "keep_until": until,
        },
    )  # fmt: skip
    return RestoredDay(day.production_date, "restored", entry.row_count, added)


def load_file(conn: psycopg.Connection[Any], store: ArchiveStore, entry: ManifestEntry, table: str) -> int:
    """Put the rows of an archived file into a table, in the caller's transaction; rows that are there stay.

    Args:
        conn: Connection in a transaction.
        store: Where the archive lies.
        entry: Which file.
        table: The dataset's own table, or one of its columns.

    Returns:
        How many rows were added.

    Raises:
        ArchiveError: The file is not the one that was verified.
    """
    with (
        archive_errors(store.uri(entry.path), "restore"),
        tempfile.NamedTemporaryFile(suffix=".parquet") as file,
    ):
        if store.fetch(entry.path, Path(file.name)) != entry.content_hash:
            raise ArchiveError(
                f"Cannot restore {entry.dataset} of {entry.production_date}: the file {store.uri(entry.path)} is not "
                "the one that was verified. Look for an older version (superseded/, or a version of the blob)."
            )
        return load_local(conn, Path(file.name), table)


def load_local(conn: psycopg.Connection[Any], file: Path, table: str) -> int:
    """Put the rows of a local Parquet file of the archive into a table; how many were added."""
    columns = read_fields(file)
    conn.execute("DROP TABLE IF EXISTS pg_temp.restoring")
    conn.execute(
        compose.SQL("CREATE TEMP TABLE restoring ({}) ON COMMIT DROP").format(
            compose.SQL(", ").join(
                compose.SQL("{} {}").format(compose.Identifier(name), compose.SQL(COPY_TYPES[kind]))
                for name, kind in columns
            )
        )
    )
    options = pacsv.WriteOptions(include_header=False)
    with conn.cursor() as cursor, cursor.copy("COPY restoring FROM STDIN (FORMAT csv)") as copy:
        for batch in read_batches(file):
            text = io.BytesIO()
            pacsv.write_csv(batch, text, options)
            copy.write(text.getbuffer())
    if table == "machine_telemetry":
        conn.execute(sql("insert_restored_tags"))
        return conn.execute(sql("insert_restored_samples")).rowcount
    return _insert(conn, table, columns)


def _insert(conn: psycopg.Connection[Any], table: str, columns: list[tuple[str, str]]) -> int:
    """What both file and table have; the table computes its generated columns anew."""
    writable = {
        name
        for (name,) in conn.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped"
            " AND attgenerated = ''",
            (table,),
        ).fetchall()
    }
    names = [(name, kind) for name, kind in columns if name in writable]
    into = compose.SQL(", ").join(compose.Identifier(name) for name, _ in names)
    # In the file every NUMERIC has 18 decimals.
    values = compose.SQL(", ").join(
        (compose.SQL("trim_scale({})") if kind == "numeric" else compose.SQL("{}")).format(compose.Identifier(name))
        for name, kind in names
    )
    return conn.execute(
        compose.SQL(
            "INSERT INTO {table} ({into}) OVERRIDING SYSTEM VALUE SELECT {values} FROM restoring ON CONFLICT DO NOTHING"
        ).format(table=compose.Identifier(table), into=into, values=values)
    ).rowcount
