"""Quarantine: everything bad is kept once, whatever it is made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import psycopg
import pytest

from prodlytics.db.connect import connect
from prodlytics.db.quarantine import PAYLOAD_LIMIT, store

NINE = pd.Timestamp("2026-11-20T09:00:00Z")


@pytest.fixture
def conn(plain_database: str) -> Iterator[psycopg.Connection[Any]]:
    with connect(plain_database) as open_connection:
        yield open_connection


def _rows(*payloads: object, **columns: Any) -> pd.DataFrame:
    frame = pd.DataFrame({"reason": "bad_number", "detail": "not a number", "payload": list(payloads)})
    return frame.assign(position=range(1, len(payloads) + 1), **columns)


def _stored(conn: psycopg.Connection[Any], columns: str) -> list[tuple[Any, ...]]:
    return conn.execute(f"SELECT {columns} FROM quarantine ORDER BY quarantine_id").fetchall()


def test_each_row_is_stored_once_however_often_its_file_is_read(conn: psycopg.Connection[Any]) -> None:
    assert store(conn, "machine_telemetry", _rows("a", "b"), origin="one.csv") == 2
    assert store(conn, "machine_telemetry", _rows("a", "b", "c"), origin="one.csv") == 1
    assert store(conn, "machine_telemetry", _rows("a"), origin="two.csv") == 1
    assert store(conn, "work_orders", _rows("a"), origin="one.csv") == 1
    assert len(_stored(conn, "*")) == 5


def test_equal_rows_at_two_positions_are_two(conn: psycopg.Connection[Any]) -> None:
    assert store(conn, "machine_telemetry", _rows("same", "same"), origin="one.csv") == 2


def test_a_row_is_the_same_however_the_frame_spells_missing(conn: psycopg.Connection[Any]) -> None:
    alone = _rows(None, event_time=None, machine_id=None)
    among = _rows(None, "x").assign(event_time=pd.Series([pd.NaT, NINE]), machine_id=[float("nan"), "Press01"])
    assert store(conn, "machine_telemetry", alone, origin="one.csv") == 1
    assert store(conn, "machine_telemetry", among, origin="one.csv") == 1
    assert _stored(conn, "event_time, machine_id, payload") == [
        (None, None, None),
        (NINE.to_pydatetime(), "Press01", "x"),
    ]


@pytest.mark.parametrize("payload", ["\x00", "half \ud83d of a character", "\udcff byte", "ok 😀"])
def test_any_text_can_be_kept_twice_is_once(conn: psycopg.Connection[Any], payload: str) -> None:
    frame = _rows(payload, machine_id=payload).assign(detail=f"cannot read {payload}")
    assert store(conn, "machine_telemetry", frame, origin="one.csv") == 1
    assert store(conn, "machine_telemetry", frame, origin="one.csv") == 0
    [(kept,)] = _stored(conn, "payload")
    assert kept.isprintable()


def test_long_payloads_are_cut_and_still_told_apart(conn: psycopg.Connection[Any]) -> None:
    long = "x" * (PAYLOAD_LIMIT + 5)
    assert store(conn, "machine_telemetry", _rows(long).assign(position=1), origin="one.csv") == 1
    assert store(conn, "machine_telemetry", _rows(long + "y").assign(position=1), origin="one.csv") == 1
    assert _stored(conn, "length(payload)") == [(PAYLOAD_LIMIT,), (PAYLOAD_LIMIT,)]


def test_nothing_is_nothing(conn: psycopg.Connection[Any]) -> None:
    assert store(conn, "machine_telemetry", _rows(), origin="one.csv") == 0


def test_given_up_it_keeps_nothing(conn: psycopg.Connection[Any]) -> None:
    store(conn, "machine_telemetry", _rows("a"), origin="one.csv")
    conn.rollback()
    assert _stored(conn, "*") == []
