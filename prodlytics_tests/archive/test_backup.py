"""A backup is what comes back: restored into an empty database and compared row by row."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from prodlytics.archive.backup import backups, make_backup, prove, restore_backup
from prodlytics.archive.errors import ArchiveError
from prodlytics.archive.store import ArchiveStore
from prodlytics.db import dirty
from prodlytics.db.connect import connect
from prodlytics.db.telemetry import write_samples
from prodlytics_tests.archive.floor import add_scrap, archive, day
from prodlytics_tests.db.samples import batch
from prodlytics_tests.plant.small_plant import small_plant
from prodlytics_tests.servers.databases import empty_database, url_of

NOW = day(2).start + dt.timedelta(hours=6)


def _fill(conn: psycopg.Connection[Any], store: ArchiveStore) -> None:
    """Two closed days, the second with a late sample since, and a running one; an entry, scrap, a setting."""
    hours = [day().start + dt.timedelta(hours=n) for n in range(54)]
    write_samples(conn, batch([("M1", "Count", "", at, 1.5, None, 192, None) for at in hours]), ingested_at=NOW)
    conn.execute(
        "INSERT INTO operator_entries (source_key, machine_id, kind, starts_at, note, entered_by, entered_at, source)"
        " VALUES ('k1', 'M1', 'note', now(), E'two\\nlines', 'Ann', now(), 'test')"
    )
    add_scrap(conn, 0, 30)
    for number in range(2):
        archive(conn, store, number, "machine_telemetry")
    late = day(1).start + dt.timedelta(minutes=7)
    written = write_samples(conn, batch([("M1", "Count", "", late, 9.0, None, 192, None)]), ingested_at=NOW)
    dirty.mark(conn, "archive/machine_telemetry", written.touched, "late")
    conn.commit()


def _content(url: str) -> dict[str, list[tuple[Any, ...]]]:
    with connect(url) as conn:
        names = conn.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            " AND tablename NOT IN ('schema_migration', 'telemetry_sample', 'backup_log') ORDER BY 1"
        ).fetchall()
        return {name: conn.execute(f'SELECT t::text FROM "{name}" t ORDER BY 1').fetchall() for (name,) in names}


def _samples(url: str, start: dt.datetime) -> list[tuple[Any, ...]]:
    with connect(url) as conn:
        return conn.execute("SELECT * FROM machine_telemetry WHERE time >= %s ORDER BY time", (start,)).fetchall()


def test_everything_that_is_not_archived_comes_back(database: str, database_server: str, tmp_path: Path) -> None:
    store = ArchiveStore(tmp_path / "archive")
    with connect(database) as conn:
        _fill(conn, store)
    made = make_backup(database, store, small_plant(), NOW)
    # The first day is archived as it is; the second is not, nor is the running one.
    assert [path.rpartition("/")[2] for path in made.files] == [
        "tables.dump", "machine_telemetry-2026-11-21.parquet", "machine_telemetry-2026-11-22.parquet",
    ]  # fmt: skip
    assert made.samples == 24 + 1 + 6
    before = _content(database)
    with empty_database(url_of(database_server, "postgres")) as scratch:
        restored = restore_backup(store, made.name, scratch)
        assert restored.differing == {}
        assert _content(scratch) == before
        assert _samples(scratch, day(1).start) == _samples(database, day(1).start)
        # Life goes on: numbers of new rows follow those of the old ones.
        with connect(scratch) as conn:
            add_scrap(conn, 1, 5)
            conn.execute(
                "INSERT INTO operator_entries (source_key, machine_id, kind, starts_at, entered_by, entered_at, source)"
                " VALUES ('k2', 'M1', 'note', now(), 'Bob', now(), 'test')"
            )
            assert len(conn.execute("SELECT audit_id FROM audit_trail").fetchall()) > len(before["audit_trail"])
        with pytest.raises(ArchiveError, match="is not empty"):
            restore_backup(store, made.name, scratch)


def test_the_instructions_work_as_they_are_written(plain_database: str, plain_server: str, tmp_path: Path) -> None:
    store = ArchiveStore(tmp_path / "archive")
    with connect(plain_database) as conn:
        _fill(conn, store)
    surroundings = {
        **os.environ, "PRODLYTICS_DATABASE_URL": plain_database, "PRODLYTICS_ARCHIVE_URL": str(tmp_path / "archive"),
    }  # fmt: skip

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "prodlytics.cli", *arguments],
            env=surroundings, capture_output=True, text=True, check=False,
        )  # fmt: skip

    done = run("backup", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["restored"]["differing"] == {}
    with empty_database(url_of(plain_server, "postgres")) as scratch:
        restored = run("restore-backup", "latest", scratch)
        assert restored.returncode == 0, restored.stderr
        assert "Archived samples come back with prodlytics restore." in restored.stdout
        assert _content(scratch)["scrap_events"] == _content(plain_database)["scrap_events"]
    wrong = run("restore-backup", "20200101T000000Z", "postgresql://127.0.0.1:1/none")
    assert wrong.returncode == 1
    assert "There is no backup '20200101T000000Z'" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_generations_and_damage(plain_database: str, tmp_path: Path) -> None:
    store = ArchiveStore(tmp_path / "archive")
    names = [
        make_backup(plain_database, store, small_plant(), NOW + dt.timedelta(days=7 * week), keep=2).name
        for week in range(3)
    ]
    assert backups(store) == names[1:]
    assert sorted(file.parent.name for file in (tmp_path / "archive").rglob("*.dump")) == names[1:]
    (dump,) = (tmp_path / "archive").rglob(f"{names[2]}/tables.dump")
    content = bytearray(dump.read_bytes())
    content[-20] ^= 1
    dump.write_bytes(content)
    with pytest.raises(ArchiveError, match=rf"The backup {names[2]} is damaged: .*tables.dump is not what was written"):
        prove(store, names[2], plain_database)
    assert prove(store, names[1], plain_database).differing == {}
    # One whose list was never written is no backup.
    (tmp_path / "archive" / "backups" / names[1] / "backup.json").unlink()
    assert backups(store) == [names[2]]
