"""What was archived comes back as it was: beside what is there, twice, interrupted, or from a tier that sleeps."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import psycopg
import pytest
from azure.storage.blob import BlobServiceClient

from prodlytics.archive.errors import ArchiveError
from prodlytics.archive.restore import RestoredDay, restore_days
from prodlytics.archive.store import ArchiveStore
from prodlytics.datasets.registry import DATASETS
from prodlytics.db.telemetry import write_samples
from prodlytics_tests.archive.floor import add_scrap, archive, day
from prodlytics_tests.db.samples import batch
from prodlytics_tests.servers.azurite import BlobStorage

TELEMETRY = DATASETS["machine_telemetry"]
SCRAP = DATASETS["scrap_events"]
AWKWARD = ['say "no"', "a,b\nc", "", " NULL ", "\\N", "Ümläut"]


def _rows(conn: psycopg.Connection[Any], table: str, order: str) -> list[tuple[Any, ...]]:
    return conn.execute(f"SELECT * FROM {table} ORDER BY {order}").fetchall()


def _samples(conn: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return _rows(conn, "machine_telemetry", "machine_id, metric_name, native_code, time")


def _fill(conn: psycopg.Connection[Any]) -> None:
    at = day().start
    micro = dt.timedelta(microseconds=1)
    rows = [
        *(("M1", "State", "", at + n * micro, None, text, 192, at + n * micro) for n, text in enumerate(AWKWARD)),
        ("M1", "Temp", "", at, 0.1 + 0.2, None, 192, None),
        ("M1", "Temp", "", at + micro, -1.7976931348623157e308, None, 0, at + dt.timedelta(hours=3)),
        ("M1", "Temp", "", at + 2 * micro, None, None, 0, None),
        ("M2", "Fault", "E1", at, float("inf"), None, 192, at - dt.timedelta(seconds=1)),
    ]
    write_samples(conn, batch(rows), ingested_at=at + dt.timedelta(hours=1, microseconds=7))
    conn.commit()


def test_every_value_comes_back_as_it_was(conn: psycopg.Connection[Any], store: ArchiveStore) -> None:
    _fill(conn)
    before = _samples(conn)
    archive(conn, store, 0, "machine_telemetry")
    conn.execute("DELETE FROM telemetry_sample")
    # Another database, where the tags got other numbers.
    conn.execute("DELETE FROM tag")
    conn.commit()
    assert restore_days(conn, store, TELEMETRY, [day()]) == [RestoredDay(day().production_date, "restored", 10, 10)]
    assert _samples(conn) == before
    assert restore_days(conn, store, TELEMETRY, [day()]) == [RestoredDay(day().production_date, "already", 10, 0)]
    assert _samples(conn) == before


def test_restored_rows_stand_beside_what_is_there(conn: psycopg.Connection[Any], store: ArchiveStore) -> None:
    add_scrap(conn, 0, 20)
    archive(conn, store)
    before = _rows(conn, "scrap_events", "time")
    conn.execute("DELETE FROM scrap_events WHERE extract(minute FROM time)::int %% 2 = 0", ())
    conn.execute(
        "UPDATE scrap_events SET scrap_reason = 'corrected since' WHERE time = %s",
        (day().start + dt.timedelta(minutes=1),),
    )
    add_scrap(conn, 0, 1, machine="M9")
    (restored,) = restore_days(conn, store, SCRAP, [day()])
    assert (restored.rows, restored.added) == (20, 10)
    after = _rows(conn, "scrap_events", "time")
    assert len(after) == 21
    same = [row for row in after if row in before]
    assert len(same) == 19
    assert {row[6] for row in after if row not in before} >= {"corrected since"}


def test_an_interrupted_restore_goes_on_where_it_stopped(
    conn: psycopg.Connection[Any], store: ArchiveStore, folder: Path
) -> None:
    for number in range(4):
        add_scrap(conn, number, 10 + number)
        archive(conn, store, number)
    before = _rows(conn, "scrap_events", "time")
    conn.execute("DELETE FROM scrap_events")
    conn.commit()

    def interrupted(done: RestoredDay) -> None:
        if done.production_date == day(1).production_date:
            raise KeyboardInterrupt

    days = [day(number) for number in range(4)]
    with pytest.raises(KeyboardInterrupt):
        restore_days(conn, store, SCRAP, days, say=interrupted)
    conn.rollback()
    assert len(_rows(conn, "scrap_events", "time")) == 10 + 11
    assert [one.action for one in restore_days(conn, store, SCRAP, days)] == ["already"] * 2 + ["restored"] * 2
    assert _rows(conn, "scrap_events", "time") == before


def test_a_damaged_file_brings_nothing_back(conn: psycopg.Connection[Any], store: ArchiveStore, folder: Path) -> None:
    for number in range(2):
        add_scrap(conn, number, 10)
        archive(conn, store, number)
    conn.execute("DELETE FROM scrap_events")
    conn.commit()
    (file,) = folder.glob("plant=*/*/date=2026-11-21/*.parquet")
    content = bytearray(file.read_bytes())
    content[100] ^= 4
    file.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"scrap_events of 2026-11-21: the file .* is not the one that was verified"):
        restore_days(conn, store, SCRAP, [day(0), day(1)])
    conn.rollback()
    assert len(_rows(conn, "scrap_events", "time")) == 10
    assert restore_days(conn, store, SCRAP, [day(5)])[0].action == "not_archived"


def test_a_blob_in_the_archive_tier_is_asked_back_and_restored_later(
    conn: psycopg.Connection[Any], azurite: BlobStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.connection_string)
    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        service.create_container("archive")
        store = ArchiveStore("abfs://archive/plants")
        add_scrap(conn, 0, 10)
        path = archive(conn, store).path
        conn.execute("DELETE FROM scrap_events")
        conn.commit()
        blob = service.get_blob_client("archive", f"plants/{path}")
        blob.set_standard_blob_tier("Archive")
        assert restore_days(conn, store, SCRAP, [day()])[0].action == "waiting"
        assert _rows(conn, "scrap_events", "time") == []
        # The emulator wakes a blob at once.
        assert blob.get_blob_properties().blob_tier == "Hot"
        assert restore_days(conn, store, SCRAP, [day()])[0] == RestoredDay(day().production_date, "restored", 10, 10)
