"""Costs and ideal cycles of a system that says no day: from when what it says holds here."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodlytics.sources.connectors import sync
from prodlytics.sources.landing import load_pending
from prodlytics_tests.sources.landing_place import DAY, landing_plant, put, rows
from prodlytics_tests.sources.said_there import SaidThere

PLANT = landing_plant()
COSTS = "SELECT part_number, since, material_cost_per_unit FROM part_costs ORDER BY 1, 2"
CYCLES = "SELECT part_number, machine_id, since, ideal_cycle_time_ms, source FROM ideal_cycles ORDER BY 1, 2, 3"
#: At noon, so that the production day is the date.
NOON = DAY.replace(hour=18)


def bring(url: str, dataset: Any, said: list[dict[str, Any]], days: int = 0) -> list[tuple[Any, ...]]:
    """Ask the system, so many days later."""
    with psycopg.connect(url, autocommit=True) as conn:
        sync(conn, PLANT, SaidThere("things", dataset, said), NOON + dt.timedelta(days=days))
    return rows(url, "SELECT reason, detail FROM quarantine ORDER BY 1, 2")


def on(days: int) -> dt.date:
    return NOON.date() + dt.timedelta(days=days)


def test_what_was_never_known_holds_from_the_first_day_and_what_changes_from_the_day_it_came(
    plain_database: str,
) -> None:
    cycle = {"part_number": "P1", "machine_id": "Press01", "ideal_cycle_time_ms": Decimal("12500")}
    assert bring(plain_database, "ideal_cycles", [cycle]) == []
    bring(plain_database, "ideal_cycles", [cycle], days=1)
    assert rows(plain_database, CYCLES) == [("P1", "Press01", PLANT.first_day, 12500.0, "erp")]
    bring(plain_database, "ideal_cycles", [cycle | {"ideal_cycle_time_ms": 12000}], days=2)
    bring(plain_database, "ideal_cycles", [cycle | {"ideal_cycle_time_ms": 12000}], days=3)
    assert [row[2:4] for row in rows(plain_database, CYCLES)] == [(PLANT.first_day, 12500.0), (on(2), 12000.0)]


def test_two_values_at_once_are_set_aside_whichever_comes_first(plain_database: str) -> None:
    said = [
        {"part_number": "P1", "material_cost_per_unit": Decimal("2.50")},
        {"part_number": "P2", "material_cost_per_unit": Decimal("1.10")},
        {"part_number": "P1", "material_cost_per_unit": Decimal("2.60")},
        {"part_number": "P2", "material_cost_per_unit": Decimal("1.1")},
    ]
    assert (
        bring(plain_database, "part_costs", said)
        == [
            ("conflict", "P1 has several values of material_cost_per_unit at once: 2.50, 2.60"),
        ]
        * 2
    )
    assert rows(plain_database, COSTS) == [("P2", PLANT.first_day, Decimal("1.1"))]


def test_bad_cycles_are_set_aside_with_their_reason(plain_database: str) -> None:
    good = {"part_number": "P1", "machine_id": "Press01", "since": "2026-01-05", "ideal_cycle_time_ms": 9000}
    said = [good, good | {"ideal_cycle_time_ms": 0}, good | {"machine_id": "Bench"}, good | {"ideal_cycle_time_ms": -1},
            good | {"part_number": None}, good | {"since": "soon"}]  # fmt: skip
    assert [reason for reason, _ in bring(plain_database, "ideal_cycles", said)] == [
        "bad_date", "bad_number", "missing_field", "negative_number", "unknown_machine",
    ]  # fmt: skip
    assert [row[:3] for row in rows(plain_database, CYCLES)] == [("P1", "Press01", dt.date(2026, 1, 5))]


def test_a_file_says_the_day_itself(plain_database: str, tmp_path: Path) -> None:
    form = {"name": "standards", "match": "cycles/*.csv", "dataset": "ideal_cycles", "layout": "long",
            "columns": {"part_number": "part", "machine_id": "machine", "since": "since",
                        "ideal_cycle_time_ms": "ms"}}  # fmt: skip
    put(tmp_path, "cycles/1.csv", "part,machine,since,ms\nP1,Press01,2026-06-01,8000\nP1,Press01,,7000\n")
    load_pending(plain_database, landing_plant(landing=[form]), str(tmp_path))
    assert rows(plain_database, CYCLES) == [("P1", "Press01", dt.date(2026, 6, 1), 8000.0, "standards")]
    assert rows(plain_database, "SELECT reason FROM quarantine") == [("missing_field",)]


@given(st.lists(st.dictionaries(st.sampled_from(["P1", "P2"]), st.sampled_from([1, 2, 3]), max_size=2), max_size=6))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_history_of_costs_is_kept_as_it_was_brought(plain_database: str, days: list[dict[str, int]]) -> None:
    with psycopg.connect(plain_database) as conn:
        conn.execute("TRUNCATE part_costs, sync_state, quarantine")
    expected: dict[tuple[str, dt.date], int] = {}
    holds: dict[str, int] = {}
    for day, said in enumerate(days):
        for part, cost in said.items():
            if holds.get(part) != cost:
                expected[part, PLANT.first_day if part not in holds else on(day)] = cost
            holds[part] = cost
        records = [{"part_number": part, "material_cost_per_unit": cost} for part, cost in said.items()]
        if records or not holds:
            # Once more, as after a crash that lost the answer.
            for _ in range(2):
                bring(plain_database, "part_costs", records, days=day)
    assert {(part, since): int(cost) for part, since, cost in rows(plain_database, COSTS)} == expected
