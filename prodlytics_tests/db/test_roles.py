"""Least privilege: what the writer and the reader may do, and above all what not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pandas as pd
import psycopg
import pytest

from prodlytics.alerts.deliver import deliver
from prodlytics.alerts.life import Reading
from prodlytics.alerts.store import record
from prodlytics.db.connect import connect
from prodlytics.db.dirty import claim, mark
from prodlytics.db.replace import replace_rows
from prodlytics.db.telemetry import write_samples
from prodlytics_tests.alerts.plants import plant as alerting_plant
from prodlytics_tests.db.samples import batch
from prodlytics_tests.servers.catchers import mail_server

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
ENTRY = (
    "INSERT INTO operator_entries (source_key, machine_id, kind, starts_at, entered_by, entered_at, source)"
    " VALUES ('k1', 'M1', 'note', now(), 'Ann', now(), 'test')"
)
DENIED = psycopg.errors.InsufficientPrivilege


@pytest.fixture
def writer(database: str) -> Iterator[psycopg.Connection[Any]]:
    with connect(database, role="prodlytics_writer") as conn:
        yield conn


@pytest.fixture
def reader(database: str) -> Iterator[psycopg.Connection[Any]]:
    with connect(database) as conn:
        conn.execute(ENTRY)
    with connect(database, role="prodlytics_reader") as conn:
        yield conn


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE operator_entries SET note = 'nothing happened'",
        "DELETE FROM operator_entries",
        "TRUNCATE operator_entries",
        "UPDATE restatements SET new_value = 1",
        "DELETE FROM restatements",
        "UPDATE alert_history SET detail = 'nothing happened'",
        "DELETE FROM alert_history",
        "DELETE FROM schema_migration",
        "CREATE TABLE public.mine (n integer)",
        "DROP TABLE machine_time",
        "ALTER TABLE operator_entries DISABLE TRIGGER ALL",
        "ALTER TABLE machine_time ADD COLUMN n integer",
    ],
)
def test_the_writer_cannot_change_what_people_said_nor_the_schema(writer: psycopg.Connection[Any], change: str) -> None:
    writer.execute(ENTRY)
    writer.commit()
    with pytest.raises(DENIED):
        writer.execute(change)


@pytest.mark.parametrize("change", ["UPDATE operator_entries SET note = 'x'", "DELETE FROM operator_entries",
                                    "TRUNCATE operator_entries"])  # fmt: skip
def test_not_even_the_owner_changes_what_people_said(database: str, change: str) -> None:
    with connect(database) as conn:
        conn.execute(ENTRY)
        conn.commit()
        with pytest.raises(DENIED, match="append-only: write a correcting row instead"):
            conn.execute(change)


def test_the_writer_can_do_all_that_the_product_does(writer: psycopg.Connection[Any]) -> None:
    # Each of these needs its own rights: sequences, temporary tables, hypertable chunks that do not exist yet.
    writer.execute(ENTRY)
    samples = batch([("M1", "Count", "", NOON, 1.0, None, 192, None)])
    write_samples(writer, samples, ingested_at=NOON)
    assert write_samples(writer, samples, ingested_at=NOON).duplicates == 1
    mark(writer, "machine_states", [("M1", NOON)], "test")
    assert claim(writer, "machine_states", NOON, NOON + dt.timedelta(hours=1)) == [("M1", NOON, "test")]
    states = pd.DataFrame(
        {
            "machine_id": ["M1"],
            "starts_at": pd.to_datetime([NOON]).as_unit("us"),
            "ends_at": pd.to_datetime([NOON + dt.timedelta(hours=1)]).as_unit("us"),
            "state": ["running"],
            "state_started_at": pd.to_datetime([NOON]).as_unit("us"),
            "is_open": [False],
            "as_of": pd.to_datetime([NOON]).as_unit("us"),
        }
    )
    changes = replace_rows(writer, "machine_states", ["machine_id", "starts_at"], states, "true", {})
    assert changes.inserted == 1
    writer.commit()
    assert writer.execute("SELECT value FROM machine_telemetry").fetchall() == [(1.0,)]


def test_the_writer_opens_an_alert_and_tells_of_its_end(writer: psycopg.Connection[Any]) -> None:
    with mail_server() as mails:
        env = {"PRODLYTICS_SMTP_URL": mails.url}
        for minute, down in ((0, 20.0), (1, 0.0), (2, 0.0)):
            at = NOON + dt.timedelta(minutes=minute)
            record(writer, alerting_plant(), ["machine_down"], [Reading("machine_down", "M1", down, "says")], at)
            deliver(writer, alerting_plant(), env, at)
        assert len(mails.caught) == 2


def test_the_reader_reads_tables_and_views(reader: psycopg.Connection[Any]) -> None:
    names = reader.execute(
        "SELECT quote_ident(relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r','v')"
    ).fetchall()
    for (name,) in names:
        reader.execute(f"SELECT * FROM {name} LIMIT 1")
    assert reader.execute("SELECT source_key FROM operator_entries").fetchall() == [("k1",)]


@pytest.mark.parametrize("table", ["operator_entries", "machine_time", "telemetry_sample", "tag", "schema_migration"])
@pytest.mark.parametrize("change", ["DELETE FROM {}", "TRUNCATE {}", "INSERT INTO {} DEFAULT VALUES"])
def test_the_reader_writes_nothing(reader: psycopg.Connection[Any], table: str, change: str) -> None:
    with pytest.raises(DENIED):
        reader.execute(change.replace("{}", table))


def test_neither_group_can_log_in(database: str) -> None:
    with connect(database) as conn:
        found = conn.execute(
            "SELECT rolname, rolcanlogin, rolsuper FROM pg_roles WHERE rolname LIKE 'prodlytics\\_%er' ORDER BY 1"
        ).fetchall()
    assert found == [("prodlytics_reader", False, False), ("prodlytics_writer", False, False)]
