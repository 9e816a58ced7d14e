"""Dirty marks: which quarter hours they name, and that none made beside a claim is ever lost."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodlytics.db.connect import connect
from prodlytics.db.dirty import claim, mark, mark_spans, note_arrivals, settle_arrivals, times

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
QUARTER = dt.timedelta(minutes=15)
DAY = (NOON - dt.timedelta(days=1), NOON + dt.timedelta(days=1))


@pytest.fixture
def here(database: str) -> Iterator[psycopg.Connection[Any]]:
    with connect(database) as conn:
        yield conn


@pytest.fixture
def there(database: str) -> Iterator[psycopg.Connection[Any]]:
    with connect(database) as conn:
        yield conn


def marks(conn: psycopg.Connection[Any]) -> list[tuple[str, dt.datetime, str]]:
    found = conn.execute("SELECT machine_id, quarter, cause FROM dirty_mark ORDER BY 1, 2").fetchall()
    conn.commit()
    return found


class Blocked:
    """A call on a connection of its own that has to wait for another transaction."""

    def __init__(
        self, conn: psycopg.Connection[Any], watcher: psycopg.Connection[Any], call: Callable[[], Any]
    ) -> None:
        self.result: Any = None
        self._thread = threading.Thread(target=self._run, args=(call,))
        self._thread.start()
        while not watcher.execute(
            "SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'", (conn.info.backend_pid,)
        ).fetchall():
            assert self._thread.is_alive(), "it did not wait"

    def _run(self, call: Callable[[], Any]) -> None:
        self.result = call()

    def wait(self) -> Any:
        self._thread.join()
        return self.result


def test_marks_name_their_quarter_hour_once(here: psycopg.Connection[Any]) -> None:
    india = dt.timezone(dt.timedelta(hours=5, minutes=30))
    mark(here, "states", [("M1", NOON), ("M1", NOON + QUARTER - dt.timedelta(microseconds=1))], "first")
    mark(here, "states", [("M1", (NOON + QUARTER).astimezone(india)), ("M2", NOON)], "second")
    mark(here, "events", [("M1", NOON)], "third")
    assert claim(here, "states", NOON, NOON + QUARTER) == [("M1", NOON, "first"), ("M2", NOON, "second")]
    assert claim(here, "states", NOON, NOON + QUARTER) == []
    assert times(here, ["states", "events"]) == [NOON, NOON + QUARTER]
    assert times(here, ["events"]) == [NOON]
    assert times(here, ["nothing"]) == []


def test_every_cause_is_kept_once(here: psycopg.Connection[Any]) -> None:
    for cause in ("late file", "plant file", "late file", "x" * 5000, "y" * 5000, "z" * 5000):
        mark(here, "states", [("M1", NOON)], cause)
    ((_, _, cause),) = claim(here, "states", *DAY)
    assert cause.startswith("late file; plant file; " + "x" * 200 + "; y")
    assert len(cause) == 600


def test_no_marks_are_no_work(here: psycopg.Connection[Any]) -> None:
    mark(here, "states", [], "none")
    mark_spans(here, ["states"], pd.DataFrame(columns=["machine_id", "starts_at", "ends_at"]), "none")
    assert times(here, ["states"]) == []


minutes = st.integers(-3000, 3000)
spans_of = st.lists(st.tuples(st.sampled_from(["M1", "M2"]), minutes, st.integers(0, 200)), max_size=8)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spans=spans_of)
def test_spans_mark_every_quarter_hour_they_touch(
    here: psycopg.Connection[Any], spans: list[tuple[str, int, int]]
) -> None:
    frame = pd.DataFrame(
        [(m, NOON + dt.timedelta(minutes=a), NOON + dt.timedelta(minutes=a + length)) for m, a, length in spans],
        columns=["machine_id", "starts_at", "ends_at"],
    )
    for column in ("starts_at", "ends_at"):
        frame[column] = pd.to_datetime(frame[column], utc=True).dt.as_unit("us")
    # By walking minute by minute; noon lies on the grid. An instant touches the quarter it lies in.
    walked = {(m, NOON + (a + step) // 15 * QUARTER) for m, a, length in spans for step in range(max(length, 1))}
    with here.transaction(force_rollback=True):
        mark_spans(here, ["states", "events"], frame, "test")
        far = (NOON - dt.timedelta(days=9), NOON + dt.timedelta(days=9))
        assert {(m, quarter) for m, quarter, _ in claim(here, "states", *far)} == walked
        assert {(m, quarter) for m, quarter, _ in claim(here, "events", *far)} == walked


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_a_mark_made_while_a_claim_is_open_stays(
    here: psycopg.Connection[Any], there: psycopg.Connection[Any], database: str, end: str
) -> None:
    mark(here, "states", [("M1", NOON)], "first")
    here.commit()
    with connect(database, autocommit=True) as watcher:
        assert claim(here, "states", *DAY) == [("M1", NOON, "first")]
        second = Blocked(there, watcher, lambda: mark(there, "states", [("M1", NOON)], "second"))
        getattr(here, end)()
        second.wait()
        there.commit()
    # A claim that was taken back was never acted on: its cause still holds.
    assert marks(here) == [("M1", NOON, "second" if end == "commit" else "first; second")]


def test_a_mark_not_yet_committed_is_left_for_the_next_claim(
    here: psycopg.Connection[Any], there: psycopg.Connection[Any]
) -> None:
    mark(there, "states", [("M1", NOON)], "new")
    assert claim(here, "states", *DAY) == []
    there.commit()
    here.commit()
    assert marks(here) == [("M1", NOON, "new")]


def test_a_claim_waits_for_a_mark_that_is_being_renewed_and_sees_its_data(
    here: psycopg.Connection[Any], there: psycopg.Connection[Any], database: str
) -> None:
    mark(here, "states", [("M1", NOON)], "old")
    here.commit()
    there.execute("INSERT INTO tag (machine_id, metric_name, source) VALUES ('M1', 'late', 'test')")
    mark(there, "states", [("M1", NOON)], "renewed")
    with connect(database, autocommit=True) as watcher:
        claimed = Blocked(here, watcher, lambda: claim(here, "states", *DAY))
        there.commit()
        assert claimed.wait() == [("M1", NOON, "old; renewed")]
    assert here.execute("SELECT metric_name FROM tag").fetchall() == [("late",)]
    here.commit()
    assert marks(here) == []


def test_two_claims_share_the_marks_without_a_double(
    here: psycopg.Connection[Any], there: psycopg.Connection[Any], database: str
) -> None:
    mark(here, "states", [("M1", NOON)], "one")
    here.commit()
    with connect(database, autocommit=True) as watcher:
        assert len(claim(here, "states", *DAY)) == 1
        second = Blocked(there, watcher, lambda: claim(there, "states", *DAY))
        here.commit()
        assert second.wait() == []


def test_a_busy_writer_and_a_busy_claimer_agree_in_the_end(database: str) -> None:
    """What the marks are for: the derived value equals the raw one once no mark is left."""
    with connect(database) as conn:
        conn.execute("CREATE TABLE raw (n integer NOT NULL)")
        conn.execute("CREATE TABLE derived (total bigint NOT NULL)")
        conn.execute("INSERT INTO derived VALUES (0)")
    writing = threading.Event()
    writing.set()

    def write() -> None:
        with connect(database) as conn:
            for n in range(1, 151):
                conn.execute("INSERT INTO raw VALUES (%s)", (n,))
                mark(conn, "states", [("M1", NOON)], f"row {n}")
                conn.commit()
        writing.clear()

    def derive(conn: psycopg.Connection[Any]) -> bool:
        found = bool(claim(conn, "states", *DAY))
        if found:
            conn.execute("UPDATE derived SET total = (SELECT sum(n) FROM raw)")
        conn.commit()
        return found

    writer = threading.Thread(target=write)
    writer.start()
    with connect(database) as conn:
        while writing.is_set() or derive(conn):
            derive(conn)
        writer.join()
        assert conn.execute("SELECT total FROM derived").fetchall() == [(150 * 151 // 2,)]


def test_arrivals_become_marks_of_each_dataset(here: psycopg.Connection[Any]) -> None:
    note_arrivals(here, [("Press01", NOON), ("Press01", NOON), ("Press02", NOON)], ["machine_states", "a"], "feed")
    note_arrivals(here, [("Press01", NOON)], ["machine_states"], "feed")
    here.commit()
    assert settle_arrivals(here) == 4
    assert [one[:2] for one in claim(here, "machine_states", *DAY)] == [("Press01", NOON), ("Press02", NOON)]
    assert settle_arrivals(here) == 0


def test_noting_an_arrival_waits_for_no_computation(
    here: psycopg.Connection[Any], there: psycopg.Connection[Any]
) -> None:
    """A computation has claimed the mark and runs: live data goes in at once, and its mark is there afterwards."""
    mark(here, "machine_states", [("Press01", NOON)], "first")
    here.commit()
    assert len(claim(here, "machine_states", *DAY)) == 1  # not committed
    there.execute("SET lock_timeout = '1s'")
    note_arrivals(there, [("Press01", NOON)], ["machine_states"], "feed")
    there.commit()
    here.commit()
    settle_arrivals(there)
    there.commit()
    assert marks(here) == [("Press01", NOON, "feed")]


def test_an_arrival_committed_while_others_are_settled_is_not_lost(
    here: psycopg.Connection[Any], there: psycopg.Connection[Any]
) -> None:
    note_arrivals(here, [("Press01", NOON)], ["machine_states"], "feed")
    here.commit()
    settle_arrivals(here)
    note_arrivals(there, [("Press02", NOON)], ["machine_states"], "feed")
    there.commit()
    here.rollback()
    assert settle_arrivals(here) == 2
