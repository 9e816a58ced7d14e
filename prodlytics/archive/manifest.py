"""Which archived file counts: the rows of `archive_manifest`.

Belongs here: reading and switching versions. Does not belong here: the files themselves.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from prodlytics.db.queries import sql


@dataclass(frozen=True)
class ManifestEntry:
    """One archived version of one day of one dataset."""

    dataset: str
    production_date: dt.date
    version: int
    is_current: bool
    path: str
    content_hash: str
    data_hash: str
    row_count: int
    size_bytes: int
    first_time: dt.datetime | None
    last_time: dt.datetime | None
    schema_json: dict[str, object]
    code_version: str
    verified_at: dt.datetime


def lock_day(conn: psycopg.Connection, dataset: str, production_date: dt.date) -> None:
    """Wait until nobody else archives this day; held until the transaction ends."""
    conn.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('prodlytics archive ' || %s::text || ' ' || %s::date, 0))",
        (dataset, production_date),
    )


def current(conn: psycopg.Connection, dataset: str, production_date: dt.date) -> ManifestEntry | None:
    """The version that counts; None if the day was never archived."""
    with conn.cursor(row_factory=class_row(ManifestEntry)) as cursor:
        return cursor.execute(
            sql("select_current_archive"),
            (dataset, production_date),
        ).fetchone()


def switch(conn: psycopg.Connection, entry: ManifestEntry, replaced_path: str | None) -> None:
    """Make `entry` the current version; in the caller's transaction, so both or neither.

    Args:
        conn: Connection inside a transaction.
        entry: The new version.
        replaced_path: Where the version before lies now; None if there was none.
    """
    conn.execute(
        "UPDATE archive_manifest SET is_current = false, path = coalesce(%s, path) "
        "WHERE dataset = %s AND production_date = %s AND is_current",
        (replaced_path, entry.dataset, entry.production_date),
    )
    conn.execute(
        sql("insert_archive_version"),
        (
            entry.dataset, entry.production_date, entry.version, entry.is_current, entry.path, entry.content_hash,
            entry.data_hash, entry.row_count, entry.size_bytes, entry.first_time, entry.last_time,
            Jsonb(entry.schema_json), entry.code_version, entry.verified_at,
        ),
    )  # fmt: skip


def next_version(conn: psycopg.Connection, dataset: str, production_date: dt.date) -> int:
    """Version numbers count from 1 per day and are never used twice."""
    row = conn.execute(
        "SELECT coalesce(max(version), 0) + 1 FROM archive_manifest WHERE dataset = %s AND production_date = %s",
        (dataset, production_date),
    ).fetchone()
    assert row is not None
    return int(row[0])
