"""Who changed what and when: written by the database itself, and nobody takes it back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from prodlytics.archive.store import ArchiveStore
from prodlytics.archive.write import archive_day
from prodlytics.datasets.registry import DATASETS
from prodlytics.db.connect import connect
from prodlytics.db.migrate import migrate

DENIED = psycopg.errors.InsufficientPrivilege
ENTRY = (
    "INSERT INTO operator_entries (source_key, machine_id, kind, starts_at, reason_code, entered_by, entered_at,"
    " source) VALUES ('k1', 'M1', 'reason', now(), 'MECH', 'Ann', now(), 'test')"
)
COST = (
    "INSERT INTO part_costs (part_number, since, material_cost_per_unit, currency, source)"
    " VALUES ('P1', '2026-01-01', %s, 'USD', 'erp') ON CONFLICT (part_number, since)"
    " DO UPDATE SET material_cost_per_unit = EXCLUDED.material_cost_per_unit, last_synced = now() + interval '1 hour'"
)


@pytest.fixture
def conn(plain_database: str) -> Iterator[psycopg.Connection[Any]]:
    with connect(plain_database) as connection:
        yield connection


@pytest.fixture
def writer(plain_database: str) -> Iterator[psycopg.Connection[Any]]:
    with connect(plain_database, role="prodlytics_writer") as connection:
        yield connection


def _trail(conn: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return conn.execute("SELECT actor, action, subject, subject_key FROM audit_trail ORDER BY audit_id").fetchall()


def test_what_the_writer_does_is_written_down_with_the_person(writer: psycopg.Connection[Any]) -> None:
    writer.execute(ENTRY)
    writer.execute(COST, (1,))
    writer.execute("SET prodlytics.actor = 'controller@example.com'")
    writer.execute(COST, (2,))
    # Synced again with the same cost: only the bookkeeping moves.
    writer.execute(COST, (2,))
    login = writer.info.user
    assert [(actor, action, subject) for actor, action, subject, _ in _trail(writer)] == [
        ("Ann", "insert", "operator_entries"),
        (login, "insert", "part_costs"),
        ("controller@example.com", "update", "part_costs"),
    ]
    (key, was, now) = writer.execute(
        "SELECT subject_key, old_row ->> 'material_cost_per_unit', new_row ->> 'material_cost_per_unit'"
        " FROM audit_trail WHERE action = 'update'"
    ).fetchall()[0]
    assert (key, was, now) == ("P1 2026-01-01", "1", "2")


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO audit_trail (actor, database_user, action, subject, subject_key)"
        " VALUES ('Bob', 'x', 'insert', 'y', 'z')",
        "UPDATE audit_trail SET actor = 'Bob'",
        "DELETE FROM audit_trail",
        "TRUNCATE audit_trail",
        "ALTER TABLE audit_trail DISABLE TRIGGER ALL",
        "ALTER TABLE operator_entries DISABLE TRIGGER operator_entries_audit",
        "SELECT record_audit()",
    ],
)
def test_the_writer_can_neither_change_the_trail_nor_invent_one(writer: psycopg.Connection[Any], change: str) -> None:
    writer.execute(ENTRY)
    writer.commit()
    with pytest.raises((DENIED, psycopg.errors.FeatureNotSupported)):
        writer.execute(change)
    writer.rollback()
    assert len(_trail(writer)) == 1


@pytest.mark.parametrize("change", ["UPDATE audit_trail SET actor = 'Bob'", "DELETE FROM audit_trail"])
def test_not_even_the_owner_changes_it(conn: psycopg.Connection[Any], change: str) -> None:
    conn.execute(ENTRY)
    conn.commit()
    with pytest.raises(DENIED, match="append-only"):
        conn.execute(change)


def test_a_change_that_is_rolled_back_leaves_no_trace(writer: psycopg.Connection[Any]) -> None:
    writer.execute(ENTRY)
    writer.rollback()
    assert _trail(writer) == []


def test_migrating_again_watches_what_is_new_and_nothing_twice(
    plain_database: str, conn: psycopg.Connection[Any]
) -> None:
    conn.execute("CREATE TABLE IF NOT EXISTS model_registry (model text PRIMARY KEY, is_champion boolean)")
    conn.commit()
    migrate(plain_database)
    migrate(plain_database)
    conn.execute(ENTRY)
    triggers = conn.execute("SELECT count(*) FROM pg_trigger WHERE tgname = 'model_registry_audit'").fetchall()
    assert triggers == [(1,)]
    assert len(_trail(conn)) == 1


def test_the_trail_is_exported_with_the_archive(conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    conn.execute(ENTRY)
    conn.commit()
    start = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    archive_day(
        conn, ArchiveStore(tmp_path), "small", DATASETS["audit_trail"], start.date(), start,
        start + dt.timedelta(days=1), "test",
    )  # fmt: skip
    files = f"read_parquet('{tmp_path}/plant=*/dataset=audit_trail/date=*/*.parquet')"
    with duckdb.connect() as db:
        (row,) = db.execute(
            f"SELECT actor, subject, json_extract_string(new_row, 'reason_code') FROM {files}"
        ).fetchall()
    assert row == ("Ann", "operator_entries", "MECH")
