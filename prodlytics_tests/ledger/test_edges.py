"""What plants really do to a ledger, by hand: nothing at all, everything down, stops over shifts and weekends."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from prodlytics.automation.schedules import unfinished_days
from prodlytics.plant.calendar import production_day
from prodlytics.plant.model import Plant
from prodlytics_tests.end_to_end.plant_run import assert_same
from prodlytics_tests.ledger.chain import Chain
from prodlytics_tests.ledger.days_of_data import DAYS, Sample, load, small_plant
from prodlytics_tests.ledger.shops import state_frame
from prodlytics_tests.ledger.sweep import State, us
from prodlytics_tests.servers.databases import migrated_database

THURSDAY, FRIDAY, SATURDAY, SUNDAY, MONDAY = DAYS
RUNNING, IDLE, FAULT = 1, 2, 3


@pytest.fixture(scope="module")
def server_url(plain_server: str) -> Iterator[str]:
    with migrated_database(plain_server) as found:
        yield found


@pytest.fixture
def url(server_url: str) -> str:
    Chain(small_plant(), server_url).empty()
    return server_url


def opens(plant: Plant, day: dt.date, hours: float = 0) -> dt.datetime:
    """So many hours into a production day."""
    return production_day(plant, day)[0] + dt.timedelta(hours=hours)


def states(*changes: tuple[dt.datetime, int]) -> list[Sample]:
    return [("M1", "MachineState", at, state) for at, state in changes]


def beats(start: dt.datetime, end: dt.datetime) -> list[Sample]:
    """A tag that is heard every ten minutes."""
    count = int((end - start).total_seconds()) // 600
    return [("M1", "Heat", start + dt.timedelta(minutes=10 * n), 20.0) for n in range(count)]


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as conn:
        conn.execute("SET timezone = 'UTC'")
        return conn.execute(query).fetchall()


# Shifts that begin at 05:30 or end at 06:15: an hour in which the date changes is two.
@pytest.mark.parametrize(("timetable", "turns"), [(0, 0), (1, 3), (2, 5)])
def test_machines_of_which_nothing_was_ever_heard(url: str, timetable: int, turns: int) -> None:
    """Every hour has its row, NULL with the reason; a day alone gives the same as all at once."""
    plant = small_plant(timetable)
    chain = Chain(plant, url)
    chain.derive(DAYS[0], DAYS[-1])
    at_once = chain.tables()
    chain.empty()
    for day in (MONDAY, FRIDAY, THURSDAY, SUNDAY, SATURDAY, FRIDAY):
        chain.derive(day)
    assert_same(chain.tables(), at_once)
    hours = rows(url, "SELECT count(*), count(oee), array_agg(DISTINCT null_reason) FROM oee_hourly")
    reasons = ["no_data", "no_planned_time"] if timetable == 1 else ["no_data"]
    assert hours == [(3 * (5 * 24 - 1 + turns), 0, reasons)]


def test_a_machine_that_is_down_all_day_has_its_rows_and_shows_0(url: str) -> None:
    plant = small_plant(0, machines=1)
    chain = Chain(plant, url)
    begin, end = production_day(plant, FRIDAY)
    fault = begin - dt.timedelta(hours=30)
    load(url, plant, [*states((fault, FAULT)), *beats(fault, end)], "down")
    chain.derive(FRIDAY)
    hours = rows(
        url,
        "SELECT count(*), sum(planned_time_us), sum(failure_us + break_us), min(oee), max(oee),"
        " array_agg(DISTINCT null_reason) FROM oee_hourly",
    )
    # Two breaks of half an hour; nothing was made, so that quality says nothing.
    assert hours == [(24, 23 * 3_600_000_000, 24 * 3_600_000_000, 0.0, 0.0, ["no_parts"])]
    shifts = rows(url, "SELECT shift, oee, availability, performance, quality FROM oee_shift ORDER BY starts_at")
    assert shifts == [(name, 0.0, 0.0, None, None) for name in ("Shift 1", "Shift 2", "Shift 3")]
    # It began before anything was derived, and keeps its name.
    assert rows(url, "SELECT DISTINCT stop_id FROM machine_time WHERE bucket <> 'break'") == [
        ("M1@2026-03-05T06:00:00Z",)
    ]


def test_a_stop_of_50_hours_over_shifts_a_weekend_and_a_change_of_clocks(url: str) -> None:
    """Early and late shift from Monday to Friday: from Friday noon to the end of Sunday, 15:30 wall time."""
    plant = small_plant(1, machines=1)
    chain = Chain(plant, url)
    begins, ends = opens(plant, FRIDAY, 6.25), opens(plant, FRIDAY, 56.25)
    said = states((opens(plant, FRIDAY), RUNNING), (begins, FAULT), (ends, RUNNING))
    load(url, plant, [*said, *beats(opens(plant, FRIDAY), opens(plant, MONDAY))], "stop")
    for day in (SUNDAY, FRIDAY, SATURDAY):
        chain.derive(day)
    for day in chain.dirty_days():
        chain.derive(day)
    lost = rows(
        url,
        "SELECT production_date, shift, bucket, sum(duration_us) / 60000000 FROM machine_time"
        " WHERE stop_id IS NOT NULL GROUP BY 1, 2, 3 ORDER BY min(starts_at)",
    )
    # 12:15 to 13:45 in the early shift, 13:45 to 22:15 in the late one; the weekend is not scheduled.
    assert lost == [(FRIDAY, "Early", "failure", 90), (FRIDAY, "Late", "failure", 510)]
    assert rows(url, "SELECT DISTINCT stop_ended_at - stop_started_at FROM downtime_events") == [
        (dt.timedelta(hours=50),)
    ]
    weekend = rows(
        url,
        "SELECT count(*), count(oee), array_agg(DISTINCT null_reason) FROM oee_hourly"
        " WHERE time_bucket >= '2026-03-07 12:00Z' AND time_bucket < '2026-03-08 14:00Z'",
    )
    assert weekend == [(26, 0, ["no_planned_time"])]


def test_running_in_a_break_and_outside_the_plan_is_planned_time(url: str) -> None:
    plant = small_plant(0, machines=1)
    plant = plant.model_copy(update={"shift_plans": small_plant(1).shift_plans})
    chain = Chain(plant, url)
    # Saturday: nothing is scheduled; 90 minutes of work with ten minutes' pause.
    start = opens(plant, SATURDAY, 2)
    pause = dt.timedelta(minutes=10)
    said = states((opens(plant, SATURDAY), IDLE), (start, RUNNING), (start + pause, IDLE), (start + 2 * pause, RUNNING),
                  (start + 9 * pause, IDLE))  # fmt: skip
    load(url, plant, [*said, *beats(opens(plant, SATURDAY), opens(plant, SATURDAY, 24))], "work")
    chain.derive(SATURDAY)
    found = rows(
        url,
        "SELECT sum(planned_time_us) / 60000000, sum(running_us) / 60000000, sum(not_scheduled_us) / 60000000,"
        " sum(other_stop_us + micro_stop_us + unknown_us) FROM oee_hourly",
    )
    # The day on which the clocks go forward has 23 hours.
    assert found == [(80, 80, 23 * 60 - 80, 0)]


def test_a_part_dated_at_the_edge_of_the_day_belongs_to_the_running_time_before_it(url: str) -> None:
    """The last sample before a silence, and a booking up to the end of the night shift, are no parts without time."""
    plant = small_plant(0)
    chain = Chain(plant, url)
    edge = opens(plant, SATURDAY)
    said = states((opens(plant, FRIDAY), RUNNING))
    parts = [("M1", "Good", edge - dt.timedelta(minutes=n), 100.0 + (10 - n)) for n in range(11)]
    booking = {
        "source_key": "b1", "machine_id": "M3", "kind": "production", "starts_at": edge - dt.timedelta(hours=7),
        "ends_at": edge, "reason_code": None, "quantity": 40, "reject_quantity": 2, "undoes": None,
        "entered_by": "B42", "entered_at": edge,
    }  # fmt: skip
    load(url, plant, [*said, *beats(opens(plant, FRIDAY), edge), *parts, booking], "edge")
    for days in ([FRIDAY, SATURDAY], [SATURDAY, FRIDAY]):
        for day in days:
            chain.derive(day)
        chain.heal()
    found = rows(
        url,
        "SELECT machine_id, sum(good_count), sum(reject_count), sum(gap_good_count), sum(gap_reject_count)"
        " FROM oee_hourly WHERE machine_id <> 'M2' GROUP BY 1 ORDER BY 1",
    )
    assert found == [("M1", 10, 0, 0, 0), ("M3", 40, 2, 0, 0)]
    booked = rows(
        url,
        "SELECT production_date, shift, sum(good_count) FROM oee_shift"
        " WHERE machine_id = 'M3' AND good_count > 0 GROUP BY 1, 2",
    )
    assert booked == [(FRIDAY, "Shift 3", 40)]


def test_days_that_were_never_told_to_their_end_are_asked_for(url: str) -> None:
    """Dagster was down while the day closed, and nothing was heard any more: no mark says so."""
    plant = small_plant(0, machines=1)
    chain = Chain(plant, url)
    tick = opens(plant, MONDAY, 1.5)
    assert unfinished_days(plant, chain.database, tick) == set()
    noon = opens(plant, FRIDAY, 6)
    told = State(us(opens(plant, FRIDAY)), us(noon), "running", None, us(opens(plant, FRIDAY)))
    chain.put("machine_states", state_frame([told], is_open=True))
    assert unfinished_days(plant, chain.database, tick) == {str(day) for day in (FRIDAY, SATURDAY, SUNDAY)}
    chain.derive(FRIDAY)
    assert unfinished_days(plant, chain.database, tick) == {str(day) for day in (SATURDAY, SUNDAY)}
    chain.derive(SATURDAY, SUNDAY)
    assert unfinished_days(plant, chain.database, tick) == set()


def test_what_comes_after_a_day_in_which_every_feed_died_restates_it(url: str) -> None:
    """The line is cut 10 hours into the day; the day is closed, and what was buffered comes after it."""
    plant = small_plant(0, machines=1)
    chain = Chain(plant, url)
    begin, cut, end = opens(plant, FRIDAY), opens(plant, FRIDAY, 10), opens(plant, FRIDAY, 24)
    load(url, plant, [*states((begin, RUNNING)), *beats(begin, cut)], "before the cut")
    chain.derive(FRIDAY)
    assert rows(url, "SELECT count(*) FROM restatements WHERE dataset = 'oee_hourly'") == [(0,)]
    load(url, plant, [*states((cut + dt.timedelta(hours=2), FAULT)), *beats(cut, end)], "what was buffered")
    chain.derive(FRIDAY)
    told = rows(
        url,
        "SELECT column_name, count(*), min(time_bucket), sum(new_value - old_value) FROM restatements"
        " WHERE column_name = 'run_time_us' AND dataset = 'oee_hourly' GROUP BY column_name",
    )
    # Nobody knew anything after the last sample, ten minutes before the cut; it ran on for two hours.
    assert told == [("run_time_us", 3, cut - dt.timedelta(hours=1), 130 * 60_000_000)]
    later = "SELECT count(*), min(revision), max(revision) FROM oee_hourly WHERE time_bucket >= '2026-03-06 22:00+00'"
    assert rows(url, later) == [(14, 2, 2)]
