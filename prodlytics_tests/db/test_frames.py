"""Frames go into tables and come back as they were; the database's types become ours."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodlytics.db.connect import connect
from prodlytics.db.frames import copy_in, microseconds, read, read_many

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def conn(plain_database: str) -> Iterator[psycopg.Connection[Any]]:
    with connect(plain_database) as connection:
        connection.execute(
            "CREATE TABLE every_kind (nth bigint, at timestamptz, day date, word text, number double precision,"
            " money numeric, count bigint, yes boolean)"
        )
        connection.commit()
        yield connection


instants = st.integers(-2 * 10**15, 7 * 10**15).map(lambda us: EPOCH + dt.timedelta(microseconds=us))
words = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=8)
rows_of = st.lists(
    st.tuples(
        st.none() | instants,
        st.none() | st.dates(dt.date(1900, 1, 1), dt.date(2200, 1, 1)),
        st.none() | st.sampled_from(["", '"', "\\.", "\\N", "NULL", "a,b", "two\r\nlines", " spaces "]) | words,
        st.none() | st.floats(allow_nan=False),
        st.none() | st.integers(-(10**12), 10**12).map(lambda cents: cents / 100),
        st.integers(-(2**63), 2**63 - 1),
        st.booleans(),
    ),
    max_size=10,
)


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=rows_of)
def test_what_is_copied_in_is_read_back(conn: psycopg.Connection[Any], rows: list[tuple[Any, ...]]) -> None:
    at, day, word, number, money, count, yes = zip(*rows, strict=True) if rows else [()] * 7
    frame = pd.DataFrame(
        {
            # In another order than the table's: columns go by name.
            "yes": pd.Series(yes, dtype=bool),
            "nth": pd.Series(range(len(rows)), dtype="int64"),
            "at": pd.Series(pd.DatetimeIndex(list(at), tz="UTC").as_unit("us")),
            "day": pd.Series(day, dtype=object),
            "word": pd.Series(word, dtype=object),
            "number": pd.Series(number, dtype="float64"),
            "money": pd.Series(money, dtype="float64"),
            "count": pd.Series(count, dtype="int64"),
        }
    )
    with conn.transaction(force_rollback=True):
        assert copy_in(conn, "every_kind", frame) == len(rows)
        # As another client sees it, and as we do.
        plain = conn.execute("SELECT at, day, word, number, money, count, yes FROM every_kind ORDER BY nth").fetchall()
        query = (
            "SELECT yes, nth, at, day, word, number, money, count FROM every_kind WHERE nth >= %(first)s ORDER BY nth"
        )
        back = read(conn, query, {"first": 0})
        at_once = read_many(conn, query, {"first": 0})
    assert [(*row[:4], None if row[4] is None else float(row[4]), *row[5:]) for row in plain] == rows
    pd.testing.assert_frame_equal(back, frame, check_exact=True)
    pd.testing.assert_frame_equal(at_once, frame, check_exact=True)


def test_an_empty_result_has_columns_and_types(conn: psycopg.Connection[Any]) -> None:
    frame = read(conn, "SELECT * FROM every_kind")
    kinds = {"at": "datetime64[us, UTC]", "number": "float64", "money": "float64", "count": "int64", "yes": "bool"}
    assert {name: str(frame[name].dtype) for name in kinds} == kinds
    assert len(frame) == 0


def test_missing_values_and_other_kinds(conn: psycopg.Connection[Any]) -> None:
    frame = read(
        conn,
        "SELECT * FROM (VALUES"
        " (1, NULL::text, NULL::timestamptz, true, '{\"a\": [1]}'::jsonb, 2::smallint, ARRAY['x']),"
        " (NULL, 'b', '2026-03-29 01:59:59.999999+00', NULL, NULL, 3, NULL)) AS v (n, word, at, yes, data, small, list)"
        " WHERE word IS NULL OR word = %(word)s",
        {"word": "b"},
    )
    assert math.isnan(frame["n"][1])
    assert frame["n"][0] == 1.0
    assert frame["word"].tolist() == [None, "b"]
    assert frame["at"].isna().tolist() == [True, False]
    assert frame["at"][1] == pd.Timestamp("2026-03-29 01:59:59.999999", tz="UTC")
    assert frame["yes"].tolist() == [True, None]
    assert frame["data"][0] == {"a": [1]}
    assert frame["small"].dtype == np.int64
    assert frame["list"][0] == ["x"]


def test_a_broken_query_is_an_error_and_the_connection_goes_on(conn: psycopg.Connection[Any]) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable):
        read(conn, "SELECT * FROM nowhere")
    conn.rollback()
    assert len(read(conn, "SELECT 1 AS n")) == 1


@given(rows=st.lists(st.none() | instants, max_size=10))
def test_microseconds_count_from_1970(rows: list[dt.datetime | None]) -> None:
    series = pd.Series(pd.DatetimeIndex(rows, tz="UTC").as_unit("us"))
    expected = [-(2**63) if at is None else (at - EPOCH) // dt.timedelta(microseconds=1) for at in rows]
    assert microseconds(series).tolist() == expected
    assert microseconds(series.dt.tz_convert("America/Chicago")).tolist() == expected
