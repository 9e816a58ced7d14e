"""Any order of arrival and of computation gives the same tables, and nothing but what has to change is touched."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodlytics.plant.calendar import production_day
from prodlytics_tests.end_to_end.plant_run import assert_same
from prodlytics_tests.ledger.chain import CHAIN, Chain
from prodlytics_tests.ledger.days_of_data import DAYS, Entry, Sample, entries_of, load, samples_of, small_plant
from prodlytics_tests.ledger.invariants import broken_rules
from prodlytics_tests.servers.databases import migrated_database


@pytest.fixture(scope="module")
def url(plain_server: str) -> Iterator[str]:
    with migrated_database(plain_server) as found:
        yield found


def batches(rng: Random, rows: list[Sample | Entry]) -> list[list[Sample | Entry]]:
    """Most rows with their day, the others whenever."""

    def day(row: Sample | Entry) -> Any:
        return (row[2] if isinstance(row, tuple) else row["starts_at"]).date()

    on_time: dict[Any, list[Sample | Entry]] = {}
    late: list[list[Sample | Entry]] = [[] for _ in range(3)]
    for row in rows:
        if rng.random() < 0.8:
            on_time.setdefault(day(row), []).append(row)
        else:
            rng.choice(late).append(row)
    found = [*on_time.values(), *late]
    rng.shuffle(found)
    return [batch for batch in found if batch]


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), timetable=st.integers(0, 2))
def test_any_order_of_arrival_and_of_days_gives_the_same_tables(url: str, seed: int, timetable: int) -> None:
    plant, rng = small_plant(timetable), Random(seed)
    chain = Chain(plant, url)
    rows: list[Sample | Entry] = [*samples_of(plant, seed), *entries_of(plant, seed)]

    chain.empty()
    load(url, plant, rows, "all")
    chain.derive(DAYS[0], DAYS[-1])
    expected = chain.tables()

    chain.empty()
    done: set[dt.date] = set()
    for number, batch in enumerate(batches(rng, rows)):
        load(url, plant, batch, f"batch{number}")
        for day in rng.sample(DAYS, rng.choice([0, 1, 2])):
            names = CHAIN if day not in done else CHAIN[rng.choice([0, 0, 2, 4]) :]
            chain.derive(day, names=names)
            done.add(day)
    for day in set(DAYS) - done:
        chain.derive(day)
    heal(chain)
    assert_same(chain.tables(), expected)
    assert broken_rules(url, production_day(plant, DAYS[0])[0], production_day(plant, DAYS[-1])[1]) == {}


def heal(chain: Chain) -> None:
    """What the schedule does; a state of before the first day leaves marks that no partition takes."""
    for _ in range(6):
        days = [day for day in chain.dirty_days() if day in DAYS]
        if not days:
            return
        for day in days:
            chain.derive(day)
    raise AssertionError(f"marks are left on {days}")
