"""The view that tells people what became of their entries says what the derivation does with them."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

import psycopg
import pytest

from prodlytics.kpi.entries import PERSONS, taken_back

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
INSERT = (
    "INSERT INTO operator_entries (source_key, machine_id, kind, starts_at, ends_at, undoes, entered_by, entered_at,"
    " source) VALUES (%(key)s, 'M1', %(kind)s, %(start)s, %(end)s, %(undoes)s, 'Ann', %(entered)s, %(source)s)"
)


def _entries(seed: int) -> list[dict[str, Any]]:
    """Splits, merges, undos and undos of undos on one machine, some entered in the same minute."""
    chance = random.Random(seed)
    rows: list[dict[str, Any]] = []
    for number in range(80):
        kind = chance.choice(["split", "split", "merge", "undo", "undo"]) if number else "split"
        start = NOON + dt.timedelta(minutes=chance.randint(0, 60))
        rows.append(
            {
                "key": f"{chance.choice('kK')}{number}",
                "kind": kind,
                "start": start,
                "end": start + dt.timedelta(minutes=chance.randint(1, 30)) if kind == "merge" else None,
                "undoes": chance.choice(rows)["key"] if kind == "undo" else None,
                "entered": NOON + dt.timedelta(minutes=chance.randint(100, 120)),
                "source": chance.choice([*PERSONS, "erp", "machinemetrics", "elsewhere"]),
            }
        )
    return rows


@pytest.mark.parametrize("seed", range(5))
def test_the_view_and_the_derivation_agree(plain_database: str, seed: int) -> None:
    rows = _entries(seed)
    with psycopg.connect(plain_database) as conn:
        conn.cursor().executemany(INSERT, rows)
        found = dict(conn.execute("SELECT source_key, state FROM operator_entry_history").fetchall())
    gone = taken_back({row["key"]: row["undoes"] for row in rows if row["kind"] == "undo"})
    merges = [row for row in rows if row["kind"] == "merge" and row["key"] not in gone]

    def void(cut: dict[str, Any]) -> bool:
        return any(
            (merge["entered"], merge["key"]) > (cut["entered"], cut["key"])
            and merge["start"] < cut["start"] < merge["end"]
            and (merge["source"] in PERSONS or cut["source"] not in PERSONS)
            for merge in merges
        )

    for row in rows:
        overruled = row["kind"] == "split" and void(row)
        expected = "undone" if row["key"] in gone else "overruled" if overruled else "in force"
        assert found[row["key"]] == expected, row
    assert set(found.values()) == {"undone", "overruled", "in force"}


def test_undos_that_name_each_other_do_not_hang_the_view(plain_database: str) -> None:
    ring = {"a": "b", "b": "c", "c": "a", "self": "self"}
    common = {"kind": "undo", "start": NOON, "end": None, "entered": NOON, "source": "operator"}
    with psycopg.connect(plain_database) as conn:
        conn.cursor().executemany(INSERT, [{"key": key, "undoes": undoes, **common} for key, undoes in ring.items()])
        (count,) = conn.execute("SELECT count(*) FROM operator_entry_history").fetchone() or (0,)
    assert count == 4
