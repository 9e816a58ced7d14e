"""A real job shop without controllers: orders, quantities, rejects and running time against the raw file."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from prodlytics_tests.real_data.brute_force import Booking, Clock, Span, bookings, days, running_spans
from prodlytics_tests.real_data.real_run import RealRun, real_run, us

SHOP = Clock(ZoneInfo("Europe/Amsterdam"), dt.time(6))
FIRST, LAST = dt.date(2012, 1, 2), dt.date(2012, 2, 29)
#: The days from the first to this one are reported as well.
REPORTED = dt.date(2012, 1, 5)


@pytest.fixture(scope="module")
def raw(shared_data: Path) -> Path:
    return shared_data / "production_log" / "production_jan_feb.csv"


@pytest.fixture(scope="module")
def shop(plain_server: str, raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRun]:
    with real_run(
        plain_server,
        "job_shop",
        tmp_path_factory.mktemp("job_shop"),
        {"operator_entries/production_jan_feb.csv": raw},
        days=(FIRST.isoformat(), LAST.isoformat()),
        closed=(FIRST.isoformat(), REPORTED.isoformat()),
    ) as run:
        yield run


@pytest.fixture(scope="module")
def booked(raw: Path) -> list[Booking]:
    return bookings(raw, SHOP.zone)[0]


@pytest.fixture(scope="module")
def centre_of(shop: RealRun) -> dict[str, str]:
    """The work centre of each activity, as the plant file says."""
    return {name: machine.id for machine in shop.run.plant.machines for name in (machine.id, *machine.aliases)}


def test_every_row_is_stored_or_a_mark_of_the_log(shop: RealRun, raw: Path) -> None:
    work, marks = bookings(raw, SHOP.zone)
    assert (len(work), marks) == (2943, 266)
    assert shop.said("rows_are_accounted_for")["operator_entries"] == (
        "3209 rows in = 2943 stored + 266 quarantined + 0 duplicates, from 1 files."
    )
    payloads = [payload for (payload,) in shop.rows("SELECT payload FROM quarantine")]
    assert len(payloads) == marks
    assert all('"Start"' in payload or '"End"' in payload for payload in payloads)


def made_on(one: Booking) -> dt.date:
    """The day of the last microsecond of a booking: one up to midnight is of the day that ends there."""
    return SHOP.day(max(one.start, one.end - 1))


def test_running_hours_of_each_work_centre_and_day(
    shop: RealRun, booked: list[Booking], centre_of: dict[str, str]
) -> None:
    found: dict[str, list[Span]] = {}
    for machine, start, end, state, _ in shop.states():
        found.setdefault(machine, []).append((start, end, None if state == "unknown" else state))
    expected = running_spans(booked, centre_of)
    assert set(found) == set(centre_of.values())
    ledger = shop.ledger_hours()
    for machine, spans in found.items():
        hours = SHOP.hours(expected.get(machine, []), FIRST, LAST)
        assert SHOP.hours(spans, FIRST, LAST) == hours, machine
        for (date, said), time in hours.items():
            assert ledger[machine, date, said or "unknown"] == time


def test_quantities_and_rejects_of_each_order_and_day(
    shop: RealRun, booked: list[Booking], centre_of: dict[str, str]
) -> None:
    expected: Counter[tuple[str, str, dt.date, str]] = Counter()
    for one in booked:
        key = (one.order, centre_of[one.activity], made_on(one))
        expected[*key, "completed"] += one.completed
        expected[*key, "rejected"] += one.rejected
        expected[*key, "rework"] += one.rework
    found: Counter[tuple[str, str, dt.date, str]] = Counter()
    for order, machine, time, good, reject, rework in shop.rows(
        "SELECT work_order, machine_id, time, good_count::int, reject_count::int, rework_count::int"
        " FROM production_events"
    ):
        key = (order, machine, SHOP.day(us(time)))
        found[*key, "completed"] += good
        found[*key, "rejected"] += reject
        found[*key, "rework"] += rework
    assert +found == +expected
    assert len({order for order, *_ in expected}) == len({one.order for one in booked})


def test_the_hours_and_the_scrap_have_all_of_them(
    shop: RealRun, booked: list[Booking], centre_of: dict[str, str]
) -> None:
    parts: Counter[tuple[str, dt.date, str]] = Counter()
    scrap: Counter[tuple[str, dt.date]] = Counter()
    for one in booked:
        centre, date = centre_of[one.activity], made_on(one)
        parts[centre, date, "good"] += one.completed
        parts[centre, date, "bad"] += one.rejected + one.rework
        scrap[centre, date] += one.rejected
    assert shop.parts() == +parts
    rows = shop.rows("SELECT machine_id, production_date, sum(quantity)::int FROM scrap_events GROUP BY 1, 2")
    assert Counter({(machine, date): quantity for machine, date, quantity in rows}) == +scrap


def test_reports_have_the_day_s_parts(shop: RealRun, booked: list[Booking]) -> None:
    reports = shop.reported()
    assert sorted(reports) == list(days(FIRST, REPORTED))
    for date, summary in reports.items():
        made = sum(one.completed + one.rejected + one.rework for one in booked if made_on(one) == date)
        assert sum(summary[name] or 0 for name in ("good", "reject", "rework", "gap_parts")) == made


def test_every_rule_of_the_ledger_holds_on_every_day(shop: RealRun) -> None:
    assert shop.broken_rules(FIRST, LAST) == {}
