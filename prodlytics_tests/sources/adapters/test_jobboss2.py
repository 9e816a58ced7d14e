"""JobBOSS² over HTTP, as it was found to behave, with what goes wrong there."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from prodlytics.plant.model import Plant
from prodlytics_tests.sources.adapters.vendor import NOW, ask, connected
from prodlytics_tests.sources.landing_place import DAY, landing_plant, rows
from prodlytics_tests.vendors.jobboss2 import CLIENT, SECRET, JobBoss, line, step, ticket
from prodlytics_tests.vendors.serving import Mishaps, a_login_page, broken, serving, throttled

KEYS = {"PRODLYTICS_JB_CLIENT_ID": CLIENT, "PRODLYTICS_JB_CLIENT_SECRET": SECRET}
#: Some days before the asking, so that a night shift is over whatever the hour of the day.
SHIFT_DAY = DAY.date() - dt.timedelta(days=2)
TODAY = SHIFT_DAY.isoformat()
ZONE = landing_plant().zone
ORDERS = (
    "SELECT work_order, operation, machine_id, status, order_qty, completed_qty, scrap_qty, started_at, ended_at"
    " FROM work_orders ORDER BY 1, 2"
)


def at(hours: float) -> dt.datetime:
    local = dt.datetime.combine(SHIFT_DAY, dt.time()) + dt.timedelta(hours=hours)
    return local.replace(tzinfo=ZONE).astimezone(dt.UTC)


@pytest.fixture
def company() -> JobBoss:
    return JobBoss({
        "order-line-items": [line("1001-01"), line("1002-01", status="Closed"), line("1003-01", status="Lost"),
                             line("1004-01", jobNumber=None)],
        "order-routings": [
            step(1, "1001-01", "PRESS1"), step(2, "1001-01", "BENCH"), step(3, "1002-01", "PRESS1", status="Finished"),
        ],
        "time-ticket-details": [
            ticket(1, "1001-01", 10, TODAY, "06:00", "08:30"),
            ticket(2, "1002-01", 30, TODAY, "22:00", "02:15", piecesScrapped=3.0, reasonNumber=12),
            ticket(3, "1001-01", 10, TODAY, "09:00", None), ticket(4, "1001-01", 10, TODAY, "6 o'clock", "08:30"),
            ticket(5, "1001-01", 20, TODAY, "06:00", "07:00", workCenter="BENCH"),
        ],
    })  # fmt: skip


@pytest.fixture
def plant(company: JobBoss, mishaps: Mishaps) -> Iterator[Plant]:
    with serving(company.app(), mishaps) as url:
        yield jb(url)


def jb(url: str) -> Plant:
    return connected(
        name="jb", kind="jobboss2", url=f"{url}/api/v1/", machines={"PRESS1": "Press01"},
        options={"token_url": f"{url}/oauth2/api-user/token"},
    )  # fmt: skip


def test_jobs_steps_bookings_and_cycle_times(plain_database: str, plant: Plant) -> None:
    assert ask(plain_database, plant, KEYS).problems == []
    assert rows(plain_database, ORDERS) == [
        ("1001-01", "", None, "open", 500, None, None, None, None),
        ("1001-01", "10", "Press01", "open", 510, 120, 4, at(6), None),
        ("1002-01", "", None, "closed", 500, None, None, None, None),
        ("1002-01", "30", "Press01", "closed", 510, 120, 4, at(22), at(26.25)),
    ]
    assert rows(
        plain_database, "SELECT source_key, kind, starts_at, ends_at, quantity, reject_quantity, scrap_reason,"
        " part_number, entered_by FROM operator_entries ORDER BY 1",
    ) == [
        ("jb/bookings/1", "production", at(6), at(8.5), 60, 0, None, "P-100", "7"),
        ("jb/bookings/2", "production", at(22), at(26.25), 60, 3, None, "P-100", "7"),
        ("jb/bookings/2/scrap", "scrap", at(22), at(26.25), 3, None, "12", "P-100", "7"),
    ]  # fmt: skip
    assert rows(plain_database, "SELECT part_number, machine_id, since, ideal_cycle_time_ms FROM ideal_cycles") == [
        ("P-100", "Press01", dt.date(2026, 11, 16), 12_000.0)
    ]
    found = rows(plain_database, "SELECT origin, reason FROM quarantine ORDER BY 1")
    assert found == [("jb/bookings", "missing_field"), ("jb/jobs", "bad_status")]


@pytest.mark.parametrize(
    ("cycle", "unit", "expected", "refused"),
    [(12, "S", 12_000.0, []), (0.5, "m", 30_000.0, []), (0.01, "Hours", 36_000.0, []), (0, "M", None, []),
     (3, "Pcs/H", None, ["'3 Pcs/H' is not a number"]), (5, "MS", None, ["'5 MS' is not a number"]),
     ("fast", "M", None, ["'fast M' is not a number"]), (5, None, None, ["'5 of no unit' is not a number"])],
)  # fmt: skip
def test_a_cycle_time_is_in_the_unit_it_says(
    plain_database: str,
    plant: Plant,
    company: JobBoss,
    cycle: Any,
    unit: str | None,
    expected: float | None,
    refused: list[str],
) -> None:
    company.lists["order-routings"] = [step(1, "1001-01", "PRESS1", cycleTime=cycle, cycleUnit=unit)]
    ask(plain_database, plant, KEYS)
    found = rows(plain_database, "SELECT ideal_cycle_time_ms FROM ideal_cycles")
    assert found == ([] if expected is None else [(expected,)])
    said = [row[0] for row in rows(plain_database, "SELECT detail FROM quarantine WHERE origin = 'jb/standards'")]
    assert len(said) == len(refused)
    assert all(what in one for what, one in zip(refused, said, strict=True))


def test_of_jobs_only_what_changed_is_read(
    plain_database: str, plant: Plant, company: JobBoss, mishaps: Mishaps
) -> None:
    ask(plain_database, plant, KEYS)
    company.lists["order-line-items"][0] |= {"status": "Closed", "lastModDate": "2026-11-21T08:00:00Z"}
    mishaps.asked.clear()
    told = ask(plain_database, plant, KEYS, NOW + dt.timedelta(minutes=15))
    (asked,) = [one for one in mishaps.asked if "order-line-items" in one]
    # Five minutes before the newest change that was seen.
    assert "lastModDate%5Bgte%5D=2026-11-20T07%3A55%3A00Z" in asked
    assert told.counts["jb/jobs", "work_orders"].stored == 1
    assert rows(plain_database, ORDERS)[0][3] == "closed"
    del company.lists["order-routings"][0]
    ask(plain_database, plant, KEYS, NOW + dt.timedelta(days=2))
    assert rows(plain_database, ORDERS)[1][3] == "cancelled"


def test_all_pages_are_read(plain_database: str, plant: Plant, company: JobBoss) -> None:
    company.lists["order-line-items"] = [line(f"{number:06}-01") for number in range(401)]
    ask(plain_database, plant, KEYS)
    assert rows(plain_database, "SELECT count(*) FROM work_orders WHERE operation = ''") == [(401,)]


def test_a_server_that_gives_the_same_page_for_ever_is_noticed(
    plain_database: str, plant: Plant, company: JobBoss
) -> None:
    company.lists["order-line-items"] = [line(f"{number:06}-01") for number in range(401)]
    company.ignores_skip = True
    (problem,) = ask(plain_database, plant, KEYS).problems
    assert "order-line-items gives the same page again" in problem
    assert rows(plain_database, "SELECT count(*) FROM work_orders WHERE operation = ''") == [(0,)]


def test_a_token_that_ends_is_renewed(plain_database: str, plant: Plant, company: JobBoss) -> None:
    ask(plain_database, plant, KEYS)
    company.valid = ""
    assert ask(plain_database, plant, KEYS, NOW + dt.timedelta(days=1)).problems == []
    assert company.tokens_given == 2


@pytest.mark.parametrize("mishap", [throttled(), broken(500), broken(503)])
def test_what_passes_is_asked_again(plain_database: str, plant: Plant, mishaps: Mishaps, mishap: Any) -> None:
    mishaps.next("order-routings", mishap)
    assert ask(plain_database, plant, KEYS).problems == []


def test_a_login_page_and_a_wrong_secret_are_one_sentence(
    plain_database: str, plant: Plant, mishaps: Mishaps, caplog: pytest.LogCaptureFixture
) -> None:
    mishaps.next("order-line-items", a_login_page())
    (problem,) = ask(plain_database, plant, KEYS).problems
    assert problem.endswith("answers with text/html that is not JSON.")
    with caplog.at_level(logging.DEBUG):
        problems = ask(plain_database, plant, KEYS | {"PRODLYTICS_JB_CLIENT_SECRET": "guessed-wrong"}).problems
    assert len(problems) == 4
    assert all("refuses our credentials (401)" in problem for problem in problems)
    assert "guessed-wrong" not in caplog.text + "".join(problems)
