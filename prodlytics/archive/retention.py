"""Letting old days leave the hot tables, once nothing can be lost by it.

Belongs here: the gate. A unit (a chunk of samples, else a production day) goes when every production day it overlaps
is archived, the stored file is the one that was verified, nothing about these days waits to be archived or computed,
and the rows in the table are as many as the file has in that span. The last two are asked again under a lock that no
writer of the table passes, and the same transaction drops and moves `hot_since`: a row that comes between verification
and drop keeps its unit. Days go in order, so that what is hot is whole. Does not belong here: when this runs
(`assets/retention.py`); the database's own retention policies, which know nothing of the archive and are never used.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from psycopg import sql as compose

from prodlytics.archive import manifest
from prodlytics.archive.errors import ArchiveError
from prodlytics.archive.parquet import count_between
from prodlytics.archive.shape import Shape, shape_of
from prodlytics.datasets.registry import DATASETS, Dataset
from prodlytics.db.capability import ask
from prodlytics.db.queries import sql
from prodlytics.plant.calendar import production_date_of, production_day

if TYPE_CHECKING:
    import psycopg

    from prodlytics.archive.store import ArchiveStore
    from prodlytics.plant.model import Plant

#: Where the rows of a dataset lie, if not in a table of its name.
_TABLES = {"machine_telemetry": "telemetry_sample"}
#: How a verdict begins about a file that was written before a migration.
OTHER_COLUMNS = "the archived file has other columns than the table"
#: Compressed once nobody writes there any more but what is very late.
COMPRESS_AFTER = dt.timedelta(days=7)


@dataclass(frozen=True)
class Verdict:
    """What retention found about one unit.

    Attributes:
        rows: Rows of the table in [start, end).
        action: `goes` (a dry run would have dropped it), `dropped` or `stays`.
        why: Why it stays; empty otherwise.
    """

    dataset: str
    start: dt.datetime
    end: dt.datetime
    rows: int
    action: Literal["goes", "dropped", "stays"]
    why: str = ""


@dataclass(frozen=True)
class _Unit:
    """A span that goes as a whole, and the production days it overlaps."""

    start: dt.datetime
    end: dt.datetime
    dates: tuple[dt.date, ...]


def retain(
    conn: psycopg.Connection[Any],
    store: ArchiveStore,
    plant: Plant,
    dataset: Dataset,
    now: dt.datetime,
    *,
    drop: bool,
) -> list[Verdict]:
    """Look at every unit of a dataset that is old enough, and let go what may.

    Args:
        conn: Outside a transaction; each drop is a transaction of its own.
        store: Where the archive lies.
        plant: Zone and day boundary.
        dataset: One with `keep_hot_days`.
        now: The clock.
        drop: False for a dry run: only reads.

    Returns:
        One verdict for each old unit that has rows, oldest first.
    """
    assert dataset.keep_hot_days is not None
    shape = shape_of(conn, dataset)
    cutoff = production_day(plant, production_date_of(plant, now - dt.timedelta(days=dataset.keep_hot_days)))[0]
    hot_since = _hot_since(conn, dataset)
    verdicts: list[Verdict] = []
    blocked = ""
    for unit in _units(conn, plant, dataset, shape, cutoff):
        conn.commit()
        rows = _rows_in(conn, dataset, shape, unit)
        if not rows:
            continue
        # What came for days that are gone already is no reason to keep the days after them.
        is_straggler = hot_since is not None and unit.end <= hot_since
        why = (blocked if not is_straggler else "") or _why_not(conn, store, plant, dataset, shape, unit, rows)
        if not why and drop:
            why = _drop(conn, plant, dataset, shape, unit, rows)
        action: Literal["goes", "dropped", "stays"] = "stays" if why else "dropped" if drop else "goes"
        verdicts.append(Verdict(dataset.name, unit.start, unit.end, rows, action, why))
        if why and not is_straggler:
            blocked = blocked or f"an older day has to stay ({unit.start:%Y-%m-%d})"
    conn.commit()
    return verdicts


def compress(conn: psycopg.Connection[Any], now: dt.datetime) -> int:
    """Compress chunks of samples that are a week old, where the edition can; how many were."""
    if not ask(conn).can_compress:
        return 0
    conn.execute(
        "ALTER TABLE telemetry_sample SET (timescaledb.compress, timescaledb.compress_segmentby = 'tag_id',"
        " timescaledb.compress_orderby = 'time')"
    )
    done = conn.execute(
        "SELECT compress_chunk(c, if_not_compressed => true)"
        " FROM show_chunks('telemetry_sample', older_than => %s::timestamptz) c",
        (now - COMPRESS_AFTER,),
    ).fetchall()
    conn.commit()
    return len(done)


def _hot_since(conn: psycopg.Connection[Any], dataset: Dataset) -> dt.datetime | None:
    row = conn.execute("SELECT hot_since FROM hot_data WHERE dataset = %s", (dataset.name,)).fetchone()
    return row[0] if row else None


def _units(
    conn: psycopg.Connection[Any], plant: Plant, dataset: Dataset, shape: Shape, cutoff: dt.datetime
) -> Iterator[_Unit]:
    if _is_chunked(conn, dataset):
        for start, end in conn.execute(sql("select_chunks"), {"before": cutoff}).fetchall():
            yield _Unit(start, end, days_between(plant, start, end))
        return
    first = conn.execute(compose.SQL("SELECT min({time}) FROM {table}").format(**_names(dataset, shape))).fetchone()
    if first is None or first[0] is None:
        return
    date = production_date_of(plant, first[0])
    while production_day(plant, date)[1] <= cutoff:
        yield _Unit(*production_day(plant, date), (date,))
        date += dt.timedelta(days=1)


def _is_chunked(conn: psycopg.Connection[Any], dataset: Dataset) -> bool:
    return dataset.name in _TABLES and ask(conn).has_hypertables


def days_between(plant: Plant, start: dt.datetime, end: dt.datetime) -> tuple[dt.date, ...]:
    """The production days that [start, end) overlaps, in order."""
    dates = [production_date_of(plant, start)]
    while production_day(plant, dates[-1])[1] < end:
        dates.append(dates[-1] + dt.timedelta(days=1))
    return tuple(dates)


def _names(dataset: Dataset, shape: Shape) -> dict[str, compose.Composable]:
    return {
        "table": compose.Identifier(_TABLES.get(dataset.name, dataset.name)),
        "time": compose.Identifier(shape.bounded_by.strip('"')),
    }


def _rows_in(conn: psycopg.Connection[Any], dataset: Dataset, shape: Shape, unit: _Unit) -> int:
    query = compose.SQL("SELECT count(*) FROM {table} WHERE {time} >= %s AND {time} < %s")
    row = conn.execute(query.format(**_names(dataset, shape)), (unit.start, unit.end)).fetchone()
    return int(row[0]) if row else 0


def _why_not(
    conn: psycopg.Connection[Any],
    store: ArchiveStore,
    plant: Plant,
    dataset: Dataset,
    shape: Shape,
    unit: _Unit,
    rows: int,
) -> str:
    """Why a unit has to stay; empty if it may go. Reads the stored files, so it takes no lock."""
    why = _unsettled(conn, plant, dataset, unit)
    if why:
        return why
    archived = 0
    for date in unit.dates:
        entry = manifest.current(conn, dataset.name, date)
        assert entry is not None
        if entry.schema_json["columns"] != shape.describe()["columns"]:
            return f"{OTHER_COLUMNS} ({date}): run archive/{dataset.name} again"
        if store.sha256(entry.path) != entry.content_hash:
            return f"the archived file of {date} is missing or damaged: run archive/{dataset.name} of that day again"
        day = production_day(plant, date)
        if (unit.start, unit.end) == day or (unit.start <= day[0] and day[1] <= unit.end):
            archived += entry.row_count
        else:
            archived += _archived_between(store, entry.path, shape, unit)
    if archived != rows:
        return f"the archive has {archived} rows of it and the table {rows}: run archive/{dataset.name} again"
    return ""


def _archived_between(store: ArchiveStore, path: str, shape: Shape, unit: _Unit) -> int:
    assert shape.time_column is not None
    with store.open(path) as file:
        return count_between(file, shape.time_column, unit.start, unit.end)


@dataclass(frozen=True)
class Settled:
    """Whether a production day is archived as it is in the table, as far as the database knows.

    Attributes:
        path: The current file; None where the day is not settled.
        why: Why not.
    """

    path: str | None
    why: str = ""


def settled(
    conn: psycopg.Connection[Any], dataset: Dataset, date: dt.date, start: dt.datetime, end: dt.datetime
) -> Settled:
    """Look whether a day has a current file, and no change is on its way into it or into what is computed from it."""
    entry = manifest.current(conn, dataset.name, date)
    if entry is None:
        return Settled(None, f"{date} is not archived: run archive/{dataset.name} of that day")
    concerned = [dataset.name, f"archive/{dataset.name}", *dataset.downstream]
    pending = conn.execute(
        sql("select_pending_changes"), {"datasets": concerned, "start": start, "end": end}
    ).fetchone()
    if pending:
        return Settled(None, f"{pending[0]} of {date} has to be done again first ({pending[1]})")
    return Settled(entry.path)


def _unsettled(conn: psycopg.Connection[Any], plant: Plant, dataset: Dataset, unit: _Unit) -> str:
    """What the database knows against a unit: no file, a change on its way, a restore that still holds."""
    for date in unit.dates:
        held = conn.execute(
            "SELECT keep_until FROM restored_day WHERE dataset = %s AND production_date = %s AND keep_until > now()",
            (dataset.name, date),
        ).fetchone()
        if held:
            return f"{date} was restored and is kept until {held[0]:%Y-%m-%d}"
        found = settled(conn, dataset, date, *production_day(plant, date))
        if found.path is None:
            return found.why
    return ""


def _drop(
    conn: psycopg.Connection[Any], plant: Plant, dataset: Dataset, shape: Shape, unit: _Unit, verified_rows: int
) -> str:
    """Ask again under the lock, drop, move `hot_since`; returns why not, if something came between.

    Files were read before: writers of the table wait for this transaction.
    """
    names = _names(dataset, shape)
    with conn.transaction():
        for date in unit.dates:
            manifest.lock_day(conn, dataset.name, date)
        conn.execute(compose.SQL("LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE").format(**names))
        why = _unsettled(conn, plant, dataset, unit)
        if why or _rows_in(conn, dataset, shape, unit) != verified_rows:
            return why or "rows came while it was looked at: it goes the next time"
        if _is_chunked(conn, dataset):
            row = conn.execute("SELECT drop_telemetry_chunk(%s, %s)", (unit.start, unit.end)).fetchone()
            if not row or row[0] != 1:
                raise ArchiveError(f"Cannot drop the chunk of {unit.start:%Y-%m-%d}: it is not one chunk.")
        else:
            conn.execute(
                compose.SQL("DELETE FROM {table} WHERE {time} >= %s AND {time} < %s").format(**names),
                (unit.start, unit.end),
            )
        whole_from = production_day(plant, production_date_of(plant, unit.end))[0]
        if whole_from < unit.end:
            whole_from = production_day(plant, production_date_of(plant, unit.end))[1]
        conn.execute(sql("upsert_hot_since"), {"dataset": dataset.name, "hot_since": whole_from})
        conn.execute(
            "DELETE FROM restored_day WHERE dataset = %s AND starts_at < %s AND ends_at > %s",
            (dataset.name, unit.end, unit.start),
        )
    return ""


def retained() -> list[Dataset]:
    """The datasets of which old days leave the hot tables, in the order they are looked at: figures before samples."""
    return [dataset for dataset in reversed(DATASETS.values()) if dataset.keep_hot_days is not None]
