"""Business Central over HTTP, as documented, with what goes wrong there."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from prodlytics.plant.model import Plant
from prodlytics_tests.sources.adapters.vendor import NOW, ask, connected
from prodlytics_tests.sources.landing_place import rows
from prodlytics_tests.vendors.business_central import (
    CLIENT,
    COMPANY,
    SECRET,
    TENANT,
    BusinessCentral,
    booking,
    item,
    line,
    order,
    routing,
)  # fmt: skip
from prodlytics_tests.vendors.serving import Mishaps, a_login_page, broken, secured, throttled

KEYS = {"PRODLYTICS_BC_CLIENT_ID": CLIENT, "PRODLYTICS_BC_CLIENT_SECRET": SECRET}
DAY = dt.timedelta(days=1)


@pytest.fixture
def company() -> BusinessCentral:
    return BusinessCentral({
        "manufacturingProductionOrders": [
            order("101001"), order("101002", "Finished", "0001-01-01", ""), order("101003", "Firm_x0020_Planned"),
            order("S1", "Simulated"),
        ],
        "manufacturingProdOrderLines": [
            line("101001", 10000, "P-100", 500, 120), line("101001", 20000, "P-200", 2.5, 0),
            line("101002", 10000, "P-100", 80, 80, "Finished"),
            line("101003", 10000, "P-300", 10, 0, "Firm_x0020_Planned"),
            line("S1", 10000, "P-100", 1, 0, "Simulated"),
        ],
        "capacityLedgerEntries": [
            booking(1, "101001", 10000, "PRESS-1", 3), booking(2, "101001", 10000, "PRESS-1", 2),
            booking(3, "101001", 10000, "BENCH", 1), booking(4, "101002", 10000, "100", 0, "Work_x0020_Center"),
        ],
        "items": [item("P-100", "MONEY"), item("P-200", 0), item("P-300", 1.05, "2026-11-03T23:30:00Z")],
    })  # fmt: skip


@pytest.fixture
def plant(company: BusinessCentral, mishaps: Mishaps, tmp_path: Path) -> Iterator[Plant]:
    with secured(company.app(), mishaps, tmp_path) as (url, certificate):
        yield bc(url, ca_file=certificate)


def bc(url: str, more: dict[str, str] | None = None, **said: Any) -> Plant:
    options = {"tenant": TENANT, "company": COMPANY, "token_url": url + "/{tenant}/oauth2/v2.0/token", **(more or {})}
    return connected(name="bc", kind="business_central", url=f"{url}/v2.0", options=options,
                     machines={"PRESS-1": "Press01"}, **said)  # fmt: skip


ORDERS = (
    "SELECT work_order, operation, status, part_number, machine_id, order_qty, completed_qty, scrap_qty, due_date,"
    " source FROM work_orders ORDER BY 1, 2"
)


def test_orders_by_line_with_what_was_booked(plain_database: str, plant: Plant) -> None:
    assert ask(plain_database, plant, KEYS).problems == []
    due = dt.date(2026, 12, 1)
    assert rows(plain_database, ORDERS) == [
        ("101001", "10000", "open", "P-100", "Press01", 500, 120, 6, due, "bc"),
        ("101001", "20000", "open", "P-200", None, Decimal("2.5"), 0, None, due, "bc"),
        ("101002", "10000", "closed", "P-100", None, 80, 80, 0, None, "bc"),
        ("101003", "10000", "open", "P-300", None, 10, 0, None, due, "bc"),
    ]


def test_costs_are_exact_and_hold_from_the_day_of_the_change(plain_database: str, plant: Plant) -> None:
    ask(plain_database, plant, KEYS)
    costs = rows(
        plain_database, "SELECT part_number, since, material_cost_per_unit, currency FROM part_costs ORDER BY 1"
    )
    assert costs == [
        ("P-100", dt.date(2026, 11, 2), Decimal("12345678901234567.25"), "USD"),
        ("P-300", dt.date(2026, 11, 3), Decimal("1.05"), "USD"),
    ]


def again(plant: Plant, **options: str) -> Plant:
    """The same company, asked for more."""
    (connection,) = plant.connections
    return bc(connection.url.removesuffix("/v2.0"), options, ca_file=connection.ca_file)


def test_quantities_are_in_the_unit_of_the_item(plain_database: str, plant: Plant, company: BusinessCentral) -> None:
    company.lists["items"].append(item("P-400", 1) | {"baseUnitOfMeasureCode": "KG"})
    company.lists["manufacturingProdOrderLines"][1]["itemNo"] = "P-400"
    company.lists["manufacturingProdOrderLines"][2]["itemNo"] = "GONE"
    ask(plain_database, plant, KEYS)
    units = rows(plain_database, "SELECT order_unit FROM work_orders ORDER BY work_order, operation")
    assert units == [("PCS",), ("KG",), (None,), ("PCS",)]


def test_run_times_are_ideal_cycles_from_the_order_that_first_had_them(
    plain_database: str, plant: Plant, company: BusinessCentral
) -> None:
    company.lists["prodOrderRoutingLines"] = [
        routing("101001", "10", "PRESS-1", 0.2, "2026-10-05T06:00:00Z"),
        routing("101001", "20", "PRESS-1", 0.05, "2026-10-05T09:00:00Z"),
        routing("101001", "30", "BENCH", 9, "2026-10-05T09:00:00Z"),
        routing("101002", "10", "PRESS-1", 0.25, "2026-10-12T06:00:00Z"),
        routing("101003", "10", "PRESS-1", 0, "2026-10-19T06:00:00Z"),
        routing("101003", "20", "PRESS-1", 1, "0001-01-01T00:00:00Z"),
        routing("101003", "30", "PRESS-1", 1, "2026-10-19T06:00:00Z", "Work Center"),
    ]
    assert ask(plain_database, again(plant, run_time_unit="minutes"), KEYS).problems == []
    found = rows(plain_database, "SELECT part_number, machine_id, since, ideal_cycle_time_ms FROM ideal_cycles")
    # 0.2 and 0.05 minutes are one operation of 0.25: nothing new with the second order.
    assert found == [("P-100", "Press01", dt.date(2026, 10, 5), 15_000.0)]


def test_scrap_with_a_code_is_said_of_the_day_it_was_posted_on(
    plain_database: str, plant: Plant, company: BusinessCentral
) -> None:
    posted = NOW.date() - 2 * DAY
    company.lists["capacityLedgerEntries"] = [
        booking(n, "101001", 10000, center, scrap) | {"postingDate": posted.isoformat(), "scrapCode": code,
                                                      "itemNo": "P-100"}
        for n, (center, scrap, code) in enumerate([("PRESS-1", 3, "BURR"), ("PRESS-1", 2, ""), ("BENCH", 1, "BURR"),
                                                   ("PRESS-1", 0, "BURR")], start=1)
    ]  # fmt: skip
    assert ask(plain_database, again(plant, scrap_codes="yes"), KEYS).problems == []
    begins = dt.datetime.combine(posted, dt.time(6), tzinfo=plant.zone)
    assert rows(
        plain_database, "SELECT source_key, kind, starts_at, ends_at, quantity, scrap_reason FROM operator_entries"
    ) == [("bc/scrap/1", "scrap", begins, dt.datetime.combine(posted + DAY, dt.time(6), tzinfo=plant.zone), 3, "BURR")]


def test_a_token_that_ends_in_the_middle_is_renewed(
    plain_database: str, plant: Plant, company: BusinessCentral
) -> None:
    ask(plain_database, plant, KEYS)
    company.expire()
    assert ask(plain_database, plant, KEYS, NOW + DAY).problems == []
    assert company.tokens_given == 2


@pytest.mark.parametrize(
    ("path", "mishap", "asked"),
    [("oauth2", throttled(), 2), ("capacityLedgerEntries", broken(), 3), ("items", throttled(), 5)],
)
def test_what_passes_is_asked_again(
    plain_database: str, plant: Plant, mishaps: Mishaps, path: str, mishap: Any, asked: int
) -> None:
    mishaps.next(path, mishap)
    assert ask(plain_database, plant, KEYS).problems == []
    assert sum(path in one for one in mishaps.asked) == asked


def test_an_order_deleted_there_is_cancelled_here(plain_database: str, plant: Plant, company: BusinessCentral) -> None:
    ask(plain_database, plant, KEYS)
    company.lists["manufacturingProdOrderLines"] = company.lists["manufacturingProdOrderLines"][:1]
    ask(plain_database, plant, KEYS, NOW + DAY)
    assert [(row[0], row[1], row[2]) for row in rows(plain_database, ORDERS)] == [
        ("101001", "10000", "open"), ("101001", "20000", "cancelled"), ("101002", "10000", "closed"),
        ("101003", "10000", "cancelled"),
    ]  # fmt: skip


def test_a_booking_on_two_pages_counts_once_and_a_bad_one_leaves_scrap_unknown(
    plain_database: str, plant: Plant, company: BusinessCentral
) -> None:
    company.lists["capacityLedgerEntries"] += [
        booking(2, "101001", 10000, "PRESS-1", 2), booking(9, "101002", 10000, "100", "many", "Work_x0020_Center"),
    ]  # fmt: skip
    ask(plain_database, plant, KEYS)
    assert [row[7] for row in rows(plain_database, ORDERS)] == [6, None, None, None]


def test_a_bad_line_is_set_aside_and_the_others_come(
    plain_database: str, plant: Plant, company: BusinessCentral
) -> None:
    company.lists["manufacturingProdOrderLines"] += [
        line("101003", 20000, "P-300", "plenty", 0), line("101003", 30000, "P-300", 1, 0, "On Hold"),
        {"prodOrderLineNo": 1, "prodOrderStatus": "Released"},
    ]  # fmt: skip
    ask(plain_database, plant, KEYS)
    assert len(rows(plain_database, ORDERS)) == 4
    found = rows(plain_database, "SELECT reason FROM quarantine WHERE origin = 'bc/order_lines' ORDER BY 1")
    assert found == [("bad_number",), ("bad_status",), ("missing_field",)]


@pytest.mark.parametrize("path", ["oauth2", "manufacturingProdOrderLines", "items"])
def test_a_login_page_instead_of_an_answer_is_one_sentence(
    plain_database: str, plant: Plant, mishaps: Mishaps, path: str
) -> None:
    mishaps.next(path, a_login_page())
    problems = ask(plain_database, plant, KEYS).problems
    assert len(problems) == 1
    assert "answers with text/html that is not JSON" in problems[0]


def test_pages_in_a_circle_end(plain_database: str, plant: Plant, company: BusinessCentral) -> None:
    company.repeats = True
    problems = ask(plain_database, plant, KEYS).problems
    assert any("one already read" in problem for problem in problems)
    assert rows(plain_database, ORDERS) == []


def test_a_wrong_secret_is_one_sentence_without_it(
    plain_database: str, plant: Plant, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        problems = ask(plain_database, plant, KEYS | {"PRODLYTICS_BC_CLIENT_SECRET": "guessed-wrong"}).problems
    assert len(problems) == 2
    assert all("refuses our credentials" in problem for problem in problems)
    assert "guessed-wrong" not in caplog.text + "".join(problems)


def test_a_certificate_nobody_vouches_for_is_refused(plain_database: str, plant: Plant) -> None:
    url = plant.connections[0].url.removesuffix("/v2.0")
    problems = ask(plain_database, bc(url), KEYS).problems
    assert len(problems) == 2
    assert all("does not answer (SSLError)" in problem for problem in problems)


@pytest.mark.parametrize(
    ("said", "keys", "says"),
    [
        ({}, {}, "needs PRODLYTICS_BC_CLIENT_ID and PRODLYTICS_BC_CLIENT_SECRET in the environment"),
        ({"options": {"tenant": "t"}}, KEYS, "needs company"),
        ({"options": {"tenant": "t", "company": "c", "colour": "red"}}, KEYS, "does not know colour"),
        (
            {"options": {"tenant": "t", "company": "c", "run_time_unit": "days"}},
            KEYS,
            "write run_time_unit as seconds,",
        ),
        ({"options": {"tenant": "t", "company": "c", "scrap_codes": "no"}}, KEYS, "write scrap_codes as yes, or leave"),
        ({"kind": "business"}, KEYS, "unknown kind 'business': write"),
    ],
)
def test_what_is_missing_is_one_sentence(
    plain_database: str, said: dict[str, Any], keys: dict[str, str], says: str
) -> None:
    connection = {"name": "bc", "kind": "business_central", "url": "https://127.0.0.1:1/v2.0",
                  "options": {"tenant": "t", "company": "c"}}  # fmt: skip
    (problem,) = ask(plain_database, connected(**(connection | said)), keys).problems
    assert says in problem
    (stored,) = rows(plain_database, "SELECT source, dataset, problem FROM sync_state")
    assert stored == ("bc", None, problem)
