"""Replacing rows: the table comes to equal the frame, and what is the same is not touched."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pandas as pd
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodlytics.db.connect import connect
from prodlytics.db.frames import read
from prodlytics.db.locks import lock_dataset
from prodlytics.db.replace import Changes, replace_rows

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
KEY = ["machine_id", "at"]
Content = tuple[float | None, str | None]
Rows = dict[tuple[str, int], Content]


@pytest.fixture
def conn(database: str) -> Iterator[psycopg.Connection[Any]]:
    with connect(database) as connection:
        connection.execute(
            "CREATE TABLE derived (machine_id text, at timestamptz, amount numeric, word text, day date,"
            " as_of timestamptz NOT NULL, revision integer NOT NULL DEFAULT 1, PRIMARY KEY (machine_id, at))"
        )
        connection.commit()
        yield connection


def frame_of(rows: Rows, as_of: int) -> pd.DataFrame:
    instants = [NOON + dt.timedelta(hours=hour) for _, hour in rows]
    return pd.DataFrame(
        {
            "machine_id": pd.Series([machine for machine, _ in rows], dtype=object),
            "at": pd.Series(pd.DatetimeIndex(instants, tz="UTC").as_unit("us")),
            "amount": pd.Series([amount for amount, _ in rows.values()], dtype="float64"),
            "word": pd.Series([word for _, word in rows.values()], dtype=object),
            "day": pd.Series([instant.date() for instant in instants], dtype=object),
            "as_of": pd.Series(pd.DatetimeIndex([NOON + dt.timedelta(days=as_of)] * len(rows), tz="UTC").as_unit("us")),
        }
    )


def table(conn: psycopg.Connection[Any]) -> dict[tuple[str, int], tuple[Content, int, str]]:
    """Content, as_of in days, and the row's own transaction, by key."""
    found = conn.execute("SELECT machine_id, at, amount, word, as_of, xmin::text FROM derived").fetchall()
    return {
        (machine, round((at - NOON) / dt.timedelta(hours=1))): (
            (None if amount is None else float(amount), word),
            (as_of - NOON).days,
            transaction,
        )
        for machine, at, amount, word, as_of, transaction in found
    }


def replace(conn: psycopg.Connection[Any], rows: Rows, as_of: int, first: int, last: int) -> Changes:
    with conn.transaction():
        return replace_rows(
            conn,
            "derived",
            KEY,
            frame_of(rows, as_of),
            "at >= %(first)s AND at < %(last)s",
            {"first": NOON + dt.timedelta(hours=first), "last": NOON + dt.timedelta(hours=last)},
        )


contents = st.tuples(
    st.none() | st.sampled_from([0.1, 3.0, -2.5, 1e15]) | st.integers(0, 9).map(float),
    st.none() | st.sampled_from(["", "a", 'q"uo,te', "line\nbreak", "\\N", "NULL", "ü"]),
)
tables_of = st.dictionaries(st.tuples(st.sampled_from(["M1", "M2"]), st.integers(0, 6)), contents, max_size=8)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(old=tables_of, new=tables_of, first=st.integers(0, 3), last=st.integers(3, 7))
def test_the_window_comes_to_equal_the_frame(
    conn: psycopg.Connection[Any], old: Rows, new: Rows, first: int, last: int
) -> None:
    conn.execute("TRUNCATE derived")
    conn.commit()
    replace(conn, old, 1, 0, 7)
    before = table(conn)
    conn.commit()
    changes = replace(conn, new, 2, first, last)
    after = table(conn)
    conn.commit()
    inside = {key for key in old if first <= key[1] < last}
    gone = inside - set(new)
    same = {key for key in new if old.get(key) == new[key]}
    other = set(new) & set(old) - same
    assert {key: row[0] for key, row in after.items()} == {k: v for k, v in old.items() if k not in gone} | new
    # What is the same, or outside the window, was not written at all: same transaction, same as_of.
    untouched = set(old) - gone - other
    assert {key: after[key] for key in untouched} == {key: before[key] for key in untouched}
    assert all(after[key][1] == 2 for key in set(new) - same)
    assert (changes.inserted, changes.updated) == (len(set(new) - set(old)), len(other))
    assert (changes.deleted, changes.unchanged) == (len(gone), len(same))
    sides = changes.changed.groupby("side").size().to_dict()
    assert sides.get("new", 0) == changes.inserted + changes.updated
    assert sides.get("old", 0) == changes.deleted + changes.updated - len(other - inside)


def test_changed_rows_are_told_as_they_were_and_are(conn: psycopg.Connection[Any]) -> None:
    replace(conn, {("M1", 0): (1.0, "a"), ("M1", 1): (2.0, "b"), ("M1", 2): (3.0, "c")}, 1, 0, 9)
    changes = replace(conn, {("M1", 0): (1.0, "a"), ("M1", 1): (2.5, "b"), ("M1", 3): (4.0, None)}, 2, 0, 9)
    told = changes.changed.sort_values(["at", "side"])[["at", "amount", "word", "side"]]
    assert [(at.hour, amount, word, side) for at, amount, word, side in told.itertuples(index=False)] == [
        (13, 2.5, "b", "new"),
        (13, 2.0, "b", "old"),
        (14, 3.0, "c", "old"),
        (15, 4.0, None, "new"),
    ]


def test_columns_that_are_not_in_the_frame_keep_their_values(conn: psycopg.Connection[Any]) -> None:
    replace(conn, {("M1", 0): (1.0, "a")}, 1, 0, 9)
    conn.execute("UPDATE derived SET revision = 7")
    conn.commit()
    replace(conn, {("M1", 0): (2.0, "a"), ("M2", 0): (1.0, None)}, 2, 0, 9)
    assert conn.execute("SELECT machine_id, revision FROM derived ORDER BY 1").fetchall() == [("M1", 7), ("M2", 1)]


def test_a_numeric_of_other_scale_is_the_same_number(conn: psycopg.Connection[Any]) -> None:
    replace(conn, {("M1", 0): (3.0, None)}, 1, 0, 9)
    conn.execute("UPDATE derived SET amount = 3.000")
    conn.commit()
    assert replace(conn, {("M1", 0): (3.0, None)}, 2, 0, 9).unchanged == 1
    assert conn.execute("SELECT amount, as_of FROM derived").fetchall() == [
        (Decimal("3.000"), NOON + dt.timedelta(days=1))
    ]


def test_given_up_it_leaves_everything(conn: psycopg.Connection[Any]) -> None:
    replace(conn, {("M1", 0): (1.0, "a")}, 1, 0, 9)
    with conn.transaction(force_rollback=True):
        replace_rows(conn, "derived", KEY, frame_of({("M2", 1): (2.0, "b")}, 2), "true", {})
    assert set(table(conn)) == {("M1", 0)}


def test_twice_in_one_transaction(conn: psycopg.Connection[Any]) -> None:
    with conn.transaction():
        for amount in (1.0, 2.0):
            replace_rows(conn, "derived", KEY, frame_of({("M1", 0): (amount, None)}, 1), "true", {})
    assert table(conn)[("M1", 0)][0] == (2.0, None)


def test_two_writers_under_the_lock_come_one_after_the_other(database: str, conn: psycopg.Connection[Any]) -> None:
    with connect(database) as first, connect(database) as second, connect(database) as third:
        lock_dataset(first, "derived")
        second.execute("SET lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            lock_dataset(second, "derived")
        second.rollback()
        lock_dataset(third, "another")
        first.commit()
        lock_dataset(second, "derived")


def test_a_read_frame_goes_back_unchanged(conn: psycopg.Connection[Any]) -> None:
    rows: Rows = {("M1", 0): (0.1, ""), ("M1", 1): (None, None), ("M2", 1): (1e15, 'say "no",\n\\N\t')}
    replace(conn, rows, 1, 0, 9)
    back = read(conn, "SELECT machine_id, at, amount, word, day, as_of FROM derived")
    with conn.transaction():
        changes = replace_rows(conn, "derived", KEY, back, "true", {})
    assert (changes.unchanged, changes.inserted, changes.updated, changes.deleted) == (3, 0, 0, 0)
