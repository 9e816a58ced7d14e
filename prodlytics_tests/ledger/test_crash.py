"""A connection that dies after any statement leaves everything as it was: rows, marks, restatements."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import psycopg
import pytest

from prodlytics.assets.resources import Database
from prodlytics_tests.end_to_end.plant_run import assert_same
from prodlytics_tests.ledger.chain import CHAIN, Chain
from prodlytics_tests.ledger.days_of_data import DAYS, Entry, Sample, entries_of, load, samples_of, small_plant
from prodlytics_tests.servers.databases import migrated_database

DAY = DAYS[2]


class Life:
    """How many more statements a connection lives; None: for ever."""

    left: int | None = None
    spent = 0

    @classmethod
    def spend(cls, conn: psycopg.Connection[Any]) -> None:
        cls.spent += 1
        if cls.left is None:
            return
        cls.left -= 1
        if cls.left == 0:
            with psycopg.connect(conn.info.dsn, password=conn.info.password, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", (conn.info.backend_pid,))


class MortalCursor(psycopg.Cursor[Any]):
    def execute(self, *args: Any, **kwargs: Any) -> Any:
        done = super().execute(*args, **kwargs)
        Life.spend(self.connection)
        return done

    def executemany(self, *args: Any, **kwargs: Any) -> None:
        super().executemany(*args, **kwargs)
        Life.spend(self.connection)


class MortalDatabase(Database):
    def connect(self, *, autocommit: bool = False) -> psycopg.Connection[Any]:
        conn = super().connect(autocommit=autocommit)
        conn.cursor_factory = MortalCursor
        return conn


def machine_of(row: Sample | Entry) -> str:
    return row[0] if isinstance(row, tuple) else str(row["machine_id"])


def everything(conn: psycopg.Connection[Any]) -> dict[str, str]:
    """What is in each table, to the row."""
    tables = [
        name
        for (name,) in conn.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1"
        )
    ]
    return {
        name: conn.execute(f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {name} t").fetchall()[0][0]
        for name in tables
    }


@pytest.fixture
def url(plain_server: str) -> Iterator[str]:
    with migrated_database(plain_server) as found:
        yield found


def test_a_connection_that_dies_after_any_statement_changes_nothing(url: str, plain_server: str) -> None:
    plant, rng = small_plant(machines=1), Random(1)
    rows = [row for row in (*samples_of(plant, 1), *entries_of(plant, 1)) if machine_of(row) == "M1"]
    late = [row for row in rows if rng.random() < 0.2]
    chain = Chain(plant, url)
    chain.database = MortalDatabase(url=url)
    load(url, plant, [row for row in rows if row not in late], "on time")
    chain.derive(DAYS[0], DAYS[-1])
    load(url, plant, late, "late")

    died = 0
    with psycopg.connect(url, autocommit=True) as conn:
        for name in CHAIN:
            before = everything(conn)
            for statements in range(1, 1000):
                Life.left = statements
                try:
                    chain.one(name, DAY, DAY)
                except psycopg.Error:
                    died += 1
                    assert everything(conn) == before, f"{name} after {statements} statements"
                else:
                    break
                finally:
                    Life.left = None
    assert died > 10 * len(CHAIN)

    for _ in range(6):
        for day in {DAY, *chain.dirty_days()} & set(DAYS):
            chain.derive(day)
    with migrated_database(plain_server) as other:
        whole = Chain(plant, other)
        load(other, plant, rows, "all")
        whole.derive(DAYS[0], DAYS[-1])
        assert_same(chain.tables(), whole.tables())
