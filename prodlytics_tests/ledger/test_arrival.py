"""Any order of arrival and of computation gives the same tables, and nothing but what has to change is touched."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from random import Random
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from prodlytics.plant.calendar import production_day
from prodlytics_tests.end_to_end.plant_run import assert_same
from prodlytics_tests.ledger.chain import CHAIN, Chain
from prodlytics_tests.ledger.days_of_data import DAYS, Entry, Sample, entries_of, load, samples_of, small_plant
from prodlytics_tests.ledger.invariants import broken_rules
from prodlytics_tests.servers.databases import migrated_database

#: A failing example is a whole database: making it smaller takes longer than reading it.
NOT_SHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)


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


#: What is told of spans of time, with the column by which a row lies inside or outside a day.
TOLD = {
    "production_events": "time",
    "machine_states": "starts_at",
    "scrap_events": "time",
    "machine_time": "starts_at",
    "oee_hourly": "time_bucket",
}
#: Days from a production day to those of the shifts that have time in it: of the second timetable the next day's early
#: shift begins half an hour before its end, of the third the night shift ends a quarter of an hour into it.
SHIFTS_OF = ((0,), (0, 1), (0, -1))


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck), phases=NOT_SHRUNK)
@given(seed=st.integers(0, 2**32), timetable=st.integers(0, 2), day=st.sampled_from(DAYS[1:-1]))
def test_a_day_computed_again_with_late_data_touches_no_other_but_stops_that_reach_in(
    url: str, seed: int, timetable: int, day: dt.date
) -> None:
    """One row in three of a day comes late: no other day's rows move, but parts of stops that touch that day."""
    plant, rng = small_plant(timetable), Random(seed)
    chain, (begin, end) = Chain(plant, url), production_day(plant, day)
    rows: list[Sample | Entry] = [*samples_of(plant, seed), *entries_of(plant, seed)]
    late = [row for row in rows if isinstance(row, tuple) and begin <= row[2] < end and rng.random() < 1 / 3]
    chain.empty()
    load(url, plant, [row for row in rows if row not in late], "on time")
    chain.derive(DAYS[0], DAYS[-1])
    dates = [day + dt.timedelta(days=off) for off in SHIFTS_OF[timetable]]
    before, tables = _versions(url, begin, end, dates), chain.tables()
    load(url, plant, late, "late")
    chain.derive(day)
    assert _versions(url, begin, end, dates) == before
    assert chain.tables() != tables, "the late rows changed something"


def _versions(url: str, begin: dt.datetime, end: dt.datetime, dates: list[dt.date]) -> dict[str, list[Any]]:
    """Rows that lie outside a day and its shifts, and the transaction that wrote each."""
    outside = {table: f"{column} < %(begin)s OR {column} >= %(end)s" for table, column in TOLD.items()} | {
        "oee_shift": "production_date <> ALL(%(dates)s)",
        "downtime_events": "stop_ended_at < %(begin)s OR stop_started_at > %(end)s",
    }
    with psycopg.connect(url) as conn:
        return {
            table: conn.execute(
                f"SELECT xmin::text, t::text FROM {table} t WHERE {where} ORDER BY 2",
                {"begin": begin, "end": end, "dates": dates},
            ).fetchall()
            for table, where in outside.items()
        }
