"""What the server offers is asked, not configured; the results are the same on each."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import Any

import psycopg
import pytest

from prodlytics.db.capability import Capability, ask
from prodlytics.db.connect import connect
from prodlytics.db.migrate import migrate
from prodlytics.db.sqlfiles import sql_folder
from prodlytics.db.telemetry import write_samples
from prodlytics_tests.db.samples import batch
from prodlytics_tests.servers.databases import empty_database, url_of

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
#: Over several days, so over several chunks where there are chunks.
SAMPLES = batch(
    [
        ("M1", "Count", "", NOON + dt.timedelta(hours=7 * n), float(n), None if n % 3 else "third", 192, None)
        for n in range(20)
    ]
)


def extension(conn: psycopg.Connection[Any]) -> str | None:
    row = conn.execute("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'").fetchone()
    return None if row is None else str(row[0])


def hypertables(conn: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return conn.execute(
        "SELECT hypertable_name, time_interval FROM timescaledb_information.dimensions ORDER BY 1"
    ).fetchall()


def telemetry(url: str) -> list[tuple[Any, ...]]:
    with connect(url) as conn:
        return conn.execute("SELECT * FROM machine_telemetry ORDER BY time").fetchall()


def test_the_answer_is_what_the_server_itself_says(database: str) -> None:
    with connect(database) as conn:
        capability = ask(conn)
        version = extension(conn)
        assert capability.timescaledb_version == version
        if version is None:
            assert capability == Capability("none", None)
            assert not capability.has_hypertables
        else:
            (license_,) = conn.execute("SHOW timescaledb.license").fetchone() or ("none",)
            assert capability.edition == {"apache": "apache", "timescale": "community"}[license_]
            assert capability.has_hypertables


def test_compression_is_claimed_where_it_can_be_had(database: str) -> None:
    with connect(database) as conn:
        if not ask(conn).has_hypertables:
            assert not ask(conn).can_compress
        elif ask(conn).can_compress:
            conn.execute("ALTER TABLE telemetry_sample SET (timescaledb.compress)")
        else:
            with pytest.raises(psycopg.errors.FeatureNotSupported):
                conn.execute("ALTER TABLE telemetry_sample SET (timescaledb.compress)")


def test_only_samples_are_chunked_by_day_and_have_only_their_key(database: str) -> None:
    with connect(database) as conn:
        if ask(conn).has_hypertables:
            assert hypertables(conn) == [("telemetry_sample", dt.timedelta(days=1))]
        indexes = conn.execute("SELECT indexname FROM pg_indexes WHERE tablename = 'telemetry_sample'").fetchall()
    assert indexes == [("telemetry_sample_pkey",)]


def test_the_same_samples_read_the_same(database: str, plain_database: str) -> None:
    for url in (database, plain_database):
        with connect(url) as conn:
            for _ in range(2):
                write_samples(conn, SAMPLES, ingested_at=NOON)
    assert len(telemetry(database)) == 20
    assert telemetry(database) == telemetry(plain_database)


def test_samples_from_before_the_extension_are_kept(database: str, tmp_path: Path) -> None:
    without = tmp_path / "sql"
    shutil.copytree(sql_folder(), without)
    shutil.rmtree(without / "timescale")
    with empty_database(url_of(database, "postgres")) as url:
        migrate(url, without)
        with connect(url) as conn:
            write_samples(conn, SAMPLES, ingested_at=NOON)
        before = telemetry(url)
        report = migrate(url)
        assert telemetry(url) == before
        assert (report.applied, len(before)) == ([], 20)
        with connect(url) as conn:
            again = write_samples(conn, SAMPLES, ingested_at=NOON)
            assert (again.stored, again.duplicates) == (0, 20)
            if report.capability.has_hypertables:
                assert hypertables(conn) == [("telemetry_sample", dt.timedelta(days=1))]
