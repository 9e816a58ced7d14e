"""Nothing leaves the hot tables before it is safe, and what comes late survives."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from prodlytics.archive.retention import Verdict, retain
from prodlytics.archive.store import ArchiveStore
from prodlytics.datasets.registry import DATASETS
from prodlytics.db import dirty, hot
from prodlytics.db.connect import connect
from prodlytics.db.telemetry import write_samples
from prodlytics_tests.archive.floor import add_scrap, archive, day
from prodlytics_tests.db.samples import batch
from prodlytics_tests.plant.small_plant import small_plant

TELEMETRY = DATASETS["machine_telemetry"]
SCRAP = DATASETS["scrap_events"]
#: So much later that the first three days of telemetry are older than 90 days, and the fourth is not.
LATER = day(3).start + dt.timedelta(days=90, hours=1)


@pytest.fixture
def each(database: str) -> Iterator[psycopg.Connection[Any]]:
    """A database of each capability: chunks and plain rows leave by different ways."""
    with connect(database) as conn:
        yield conn


def _say(conn: psycopg.Connection[Any], moment: dt.datetime, value: float, marks: bool = True) -> None:
    written = write_samples(conn, batch([("M1", "Count", "", moment, value, None, 192, None)]), ingested_at=moment)
    if marks:
        dirty.mark(conn, "archive/machine_telemetry", written.touched, "late sample")
    conn.commit()


def _address(conn: psycopg.Connection[Any]) -> str:
    return f"{conn.info.dsn} password={conn.info.password}"


def _fill(conn: psycopg.Connection[Any], days: int) -> None:
    """One sample an hour over production days, without marks."""
    hours = [day().start + dt.timedelta(hours=n) for n in range(24 * days)]
    rows = [("M1", "Count", "", at, float(n), None, 192, None) for n, at in enumerate(hours)]
    write_samples(conn, batch(rows), ingested_at=hours[-1])
    conn.commit()


def _archive_all(conn: psycopg.Connection[Any], store: ArchiveStore, days: range) -> None:
    for number in days:
        archive(conn, store, number, "machine_telemetry")


def _retain(conn: psycopg.Connection[Any], store: ArchiveStore, *, drop: bool = True) -> list[Verdict]:
    return retain(conn, store, small_plant(), TELEMETRY, LATER, drop=drop)


def _times(conn: psycopg.Connection[Any]) -> list[dt.datetime]:
    return [time for (time,) in conn.execute("SELECT time FROM machine_telemetry ORDER BY time").fetchall()]


def test_archived_days_go_and_what_is_hot_is_whole(each: psycopg.Connection[Any], store: ArchiveStore) -> None:
    _fill(each, 5)
    _archive_all(each, store, range(-1, 5))
    before = _times(each)
    assert {one.action for one in _retain(each, store, drop=False)} == {"goes"}
    assert _times(each) == before

    verdicts = _retain(each, store)
    assert {one.action for one in verdicts} == {"dropped"}
    left = _times(each)
    assert sum(one.rows for one in verdicts) == len(before) - len(left)
    assert 24 * 2 <= len(left) < 24 * 3 + 24
    since = each.execute("SELECT hot_since FROM hot_data").fetchall()[0][0]
    # Everything from hot_since on is there; the 90 days before the clock are.
    assert [time for time in left if time >= since] == [time for time in before if time >= since]
    assert since <= day(3).start
    assert _retain(each, store) == []


def test_a_day_that_is_not_archived_stays_and_so_does_what_is_younger(
    each: psycopg.Connection[Any], store: ArchiveStore
) -> None:
    _fill(each, 5)
    _archive_all(each, store, range(-1, 0))
    _archive_all(each, store, range(1, 5))
    verdicts = _retain(each, store)
    assert {one.action for one in verdicts} == {"stays"}
    assert "2026-11-20 is not archived: run archive/machine_telemetry" in verdicts[0].why
    assert "an older day has to stay" in verdicts[-1].why
    assert len(_times(each)) == 24 * 5


def test_a_flipped_bit_is_found_before_anything_is_dropped(
    each: psycopg.Connection[Any], store: ArchiveStore, folder: Path
) -> None:
    _fill(each, 5)
    _archive_all(each, store, range(-1, 5))
    (file,) = folder.glob("plant=*/dataset=machine_telemetry/date=2026-11-20/*.parquet")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    verdicts = _retain(each, store)
    assert "the archived file of 2026-11-20 is missing or damaged" in verdicts[0].why
    assert len(_times(each)) == 24 * 5
    # The table still has the day: archiving it again heals the file, and then it goes.
    assert archive(each, store, 0, "machine_telemetry").action == "repaired"
    assert {one.action for one in _retain(each, store)} == {"dropped"}


def test_a_sample_later_than_the_archive_stays_until_it_is_archived(
    each: psycopg.Connection[Any], store: ArchiveStore
) -> None:
    _fill(each, 5)
    _archive_all(each, store, range(-1, 5))
    late = day(0).start + dt.timedelta(minutes=30)
    _say(each, late, 7.0, marks=False)
    verdicts = _retain(each, store)
    assert "the archive has" in verdicts[0].why
    assert late in _times(each)


def test_rows_that_come_between_verification_and_drop_survive(
    each: psycopg.Connection[Any], store: ArchiveStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that is under way when the lock is asked for commits first; it is seen under the lock."""
    _fill(each, 5)
    _archive_all(each, store, range(-1, 5))
    late = day(0).start + dt.timedelta(minutes=30)
    verify = ArchiveStore.sha256
    written = []

    def verify_and_write(self: ArchiveStore, path: str) -> str | None:
        found = verify(self, path)
        if "date=2026-11-20" in path and not written:
            with connect(_address(each)) as writer:
                _say(writer, late, 7.0)
            written.append(late)
        return found

    monkeypatch.setattr(ArchiveStore, "sha256", verify_and_write)
    verdicts = _retain(each, store)
    assert written
    assert verdicts[0].action == "stays"
    assert late in _times(each)


def test_a_writer_that_waits_for_the_drop_is_not_lost(each: psycopg.Connection[Any], store: ArchiveStore) -> None:
    """Its row comes after: it stays hot, marked, and waits for a restore instead of being computed from."""
    _fill(each, 5)
    _archive_all(each, store, range(-1, 5))
    late = day(0).start + dt.timedelta(minutes=30)

    def write() -> None:
        with connect(_address(each)) as writer:
            _say(writer, late, 7.0)

    with connect(_address(each)) as blocker, ThreadPoolExecutor(1) as pool:
        # As the drop does: writers wait, then find the chunk gone.
        blocker.execute("LOCK TABLE telemetry_sample IN SHARE ROW EXCLUSIVE MODE")
        writing = pool.submit(write)
        if blocker.execute("SELECT to_regprocedure('drop_telemetry_chunk(timestamptz,timestamptz)')").fetchall()[0][0]:
            blocker.execute("SELECT drop_telemetry_chunk('2026-11-20', '2026-11-21')")
        else:
            blocker.execute("DELETE FROM telemetry_sample WHERE time < '2026-11-21'")
        blocker.execute("INSERT INTO hot_data VALUES ('machine_telemetry', %s)", (day(1).start,))
        blocker.commit()
        writing.result()
    each.commit()
    assert late in _times(each)
    # Neither goes it, nor is its day archived over the good file, nor computed.
    verdicts = _retain(each, store)
    assert "has to be done again first" in verdicts[0].why
    assert dirty.times(each, ["archive/machine_telemetry"]) == []
    assert [one["dataset"] for one in hot.waiting(each)] == ["archive/machine_telemetry"]


def test_derived_days_go_by_production_day_and_a_change_on_its_way_keeps_them(
    conn: psycopg.Connection[Any], store: ArchiveStore
) -> None:
    for number in range(3):
        add_scrap(conn, number, 50)
        archive(conn, store, number)
    dirty.mark(conn, "losses", [("M1", day(1).start)], "a reason was corrected")
    conn.commit()
    now = day(3).start + dt.timedelta(days=365, hours=1)
    verdicts = retain(conn, store, small_plant(), SCRAP, now, drop=True)
    assert [(one.action, one.rows) for one in verdicts] == [("dropped", 50), ("stays", 50), ("stays", 50)]
    assert verdicts[1].why == "losses of 2026-11-21 has to be done again first (a reason was corrected)"
    assert conn.execute("SELECT min(time) FROM scrap_events").fetchone() == (day(1).start,)


def test_no_window_is_computed_from_what_was_dropped(conn: psycopg.Connection[Any], store: ArchiveStore) -> None:
    conn.execute("INSERT INTO hot_data VALUES ('machine_telemetry', %s)", (day(10).start,))
    hot.require(conn, "machine_states", day(13).start, day(14).start)
    hot.require(conn, "downtime_events", day(5).start, day(6).start)
    with pytest.raises(hot.NeedsRestoreError, match="Run prodlytics restore machine_telemetry 2026-11-29 2026-12-03 f"):
        hot.require(conn, "machine_states", day(12).start, day(13).start)
    marks = [("M1", day(number).start) for number in (5, 14)]
    for dataset in ("machine_states", "downtime_events"):
        dirty.mark(conn, dataset, marks, "late")
    assert dirty.times(conn, ["machine_states"]) == [day(14).start]
    assert dirty.times(conn, ["downtime_events"]) == [day(5).start, day(14).start]
