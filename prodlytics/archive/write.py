"""Archive production days.

Belongs here: the order of steps that makes a day safe: write aside, read back, publish, read the stored bytes, record.
Whatever step the process dies in, the next run of the same day finishes the job. Does not belong here: dropping hot
data.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psycopg

from prodlytics.archive import manifest, parquet
from prodlytics.archive.errors import ArchiveError, archive_errors
from prodlytics.archive.manifest import ManifestEntry
from prodlytics.archive.shape import Shape, shape_of
from prodlytics.archive.store import ArchiveStore, day_path, file_sha256, superseded_path
from prodlytics.datasets.registry import Dataset


@dataclass(frozen=True)
class ArchiveResult:
    """What archiving one day came to.

    Attributes:
        action: `written` a new version, `unchanged` nothing had to be done, `repaired` the data was as recorded but the
            stored file was missing or damaged and has been written again.
        rounded: Column to the number of values with more than 18 decimals.
    """

    dataset: str
    production_date: dt.date
    action: Literal["written", "unchanged", "repaired"]
    version: int
    path: str
    row_count: int
    size_bytes: int
    content_hash: str
    data_hash: str
    rounded: dict[str, int]


@dataclass(frozen=True)
class Day:
    """A production day: its date and its half-open window in UTC."""

    production_date: dt.date
    start: dt.datetime
    end: dt.datetime


@dataclass(frozen=True)
class _Staged:
    """A finished file that is not published yet."""

    file: Path
    content: parquet.Content
    content_hash: str
    size_bytes: int


def archive_day(
    conn: psycopg.Connection,
    store: ArchiveStore,
    plant_id: str,
    dataset: Dataset,
    production_date: dt.date,
    start: dt.datetime,
    end: dt.datetime,
    code_version: str,
) -> ArchiveResult:
    """Archive the rows of one production day; see `archive_days`."""
    (result,) = archive_days(conn, store, plant_id, dataset, [Day(production_date, start, end)], code_version)
    return result


def archive_days(
    conn: psycopg.Connection,
    store: ArchiveStore,
    plant_id: str,
    dataset: Dataset,
    days: Iterable[Day],
    code_version: str,
) -> list[ArchiveResult]:
    """Archive the rows of production days, each in a transaction of its own.

    Rows are read through a second connection, so only what is committed is archived. Within the transaction of a day:
    wait for others at the same day, write the rows aside, read them back, and if they differ from the current version
    publish the file, read the stored bytes back and switch the manifest.

    Args:
        conn: Connection outside a transaction (or the caller commits).
        store: Where to.
        plant_id: First level of the layout.
        dataset: The registry's entry.
        days: Closed production days.
        code_version: Recorded with each new version.

    Raises:
        ArchiveError: The store, the disk or a value is in the way; nothing of that day was recorded.
    """
    shape = shape_of(conn, dataset)
    conn.commit()
    results = []
    with parquet.reader(conn) as adbc:
        for day in days:
            with conn.transaction():
                results.append(_archive_one(conn, adbc, store, plant_id, shape, day, code_version))
    return results


def _archive_one(
    conn: psycopg.Connection,
    adbc: Any,
    store: ArchiveStore,
    plant_id: str,
    shape: Shape,
    day: Day,
    code_version: str,
) -> ArchiveResult:
    manifest.lock_day(conn, shape.dataset, day.production_date)
    before = manifest.current(conn, shape.dataset, day.production_date)
    path = day_path(plant_id, shape.dataset, day.production_date)
    with store.staging() as file:
        staged = _stage(adbc, shape, day, plant_id, file, store)
        stored_hash = store.sha256(path)
        same_data = before is not None and before.data_hash == staged.content.data_hash
        if before is not None and same_data and stored_hash == before.content_hash:
            return _result(before, "unchanged", staged.content.rounded)
        kept = _publish(store, staged, path, before, stored_hash)
        if before is not None and same_data and staged.content_hash == before.content_hash:
            return _result(before, "repaired", staged.content.rounded)
        entry = ManifestEntry(
            dataset=shape.dataset,
            production_date=day.production_date,
            version=manifest.next_version(conn, shape.dataset, day.production_date),
            is_current=True,
            path=path,
            content_hash=staged.content_hash,
            data_hash=staged.content.data_hash,
            row_count=staged.content.rows,
            size_bytes=staged.size_bytes,
            first_time=staged.content.first_time,
            last_time=staged.content.last_time,
            schema_json={**shape.describe(), "rounded": staged.content.rounded},
            code_version=code_version,
            verified_at=dt.datetime.now(dt.UTC),
        )
        manifest.switch(conn, entry, kept)
    return _result(entry, "repaired" if same_data else "written", staged.content.rounded)


def _stage(adbc: Any, shape: Shape, day: Day, plant_id: str, file: Path, store: ArchiveStore) -> _Staged:
    metadata = {
        "plant": plant_id,
        "dataset": shape.dataset,
        "production_date": day.production_date.isoformat(),
        "start": day.start.astimezone(dt.UTC).isoformat(),
        "end": day.end.astimezone(dt.UTC).isoformat(),
    }
    with archive_errors(store.url, f"write {shape.dataset} of {day.production_date} to"):
        query = shape.query(day.production_date, day.start, day.end)
        content = parquet.write_query(adbc, query, shape, file, metadata)
        found = parquet.read_content(file, shape)
        if (found.rows, found.data_hash) != (content.rows, content.data_hash):
            raise ArchiveError(
                f"Cannot archive {shape.dataset} of {day.production_date}: the file reads back differently "
                f"({found.rows} rows for {content.rows}); check the disk."
            )
        return _Staged(file, content, file_sha256(file), file.stat().st_size)


def _publish(
    store: ArchiveStore, staged: _Staged, path: str, before: ManifestEntry | None, stored_hash: str | None
) -> str | None:
    """Put the file in its place; returns where the version before lies now."""
    kept = None if before is None else superseded_path(path, f"v{before.version}-{before.content_hash[:12]}")
    if stored_hash == staged.content_hash:
        # A run published this file and died before it was recorded; the version before went to `kept` then.
        return kept
    keep_as = kept
    if stored_hash is not None and (before is None or stored_hash != before.content_hash):
        # Published by a run that died and replaced by newer data since, or damaged: kept, but it is no version.
        keep_as = superseded_path(path, f"unrecorded-{stored_hash[:12]}")
    store.publish(staged.file, path, keep_as if stored_hash is not None else None)
    if store.sha256(path) != staged.content_hash:
        raise ArchiveError(
            f"Cannot archive to {store.uri(path)}: the stored file is not the one written; run it again."
        )
    return kept


def _result(
    entry: ManifestEntry, action: Literal["written", "unchanged", "repaired"], rounded: dict[str, int]
) -> ArchiveResult:
    return ArchiveResult(
        dataset=entry.dataset,
        production_date=entry.production_date,
        action=action,
        version=entry.version,
        path=entry.path,
        row_count=entry.row_count,
        size_bytes=entry.size_bytes,
        content_hash=entry.content_hash,
        data_hash=entry.data_hash,
        rounded=rounded,
    )
