"""SAP Business One over HTTPS, as documented, with what goes wrong there."""

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
from prodlytics_tests.vendors.sap_b1 import COMPANY_DB, PASSWORD, USER, ServiceLayer, item, order
from prodlytics_tests.vendors.serving import Mishap, Mishaps, a_login_page, broken, secured

KEYS = {"PRODLYTICS_SAP_USER": USER, "PRODLYTICS_SAP_PASSWORD": PASSWORD}
ORDERS = (
    "SELECT work_order, status, part_number, order_qty, completed_qty, scrap_qty, due_date FROM work_orders ORDER BY 1"
)
NO_SESSION = Mishap(401, body='{"error": {"code": 301}}')


@pytest.fixture(params=["v1", "v2"])
def service(request: pytest.FixtureRequest) -> ServiceLayer:
    statuses = ["boposPlanned", "boposReleased", "boposClosed", "boposCancelled"]
    items = [item("P-100", 4.25), item("P-200", 0), item("P-300", 1.1, None), item("P-400", "dear")]
    return ServiceLayer([order(n, status) for n, status in enumerate(statuses)], items, request.param, most=3)


@pytest.fixture
def plant(service: ServiceLayer, mishaps: Mishaps, tmp_path: Path) -> Iterator[Plant]:
    with secured(service.app(), mishaps, tmp_path) as (url, certificate):
        yield connected(name="sap", kind="sap_b1", url=f"{url}/b1s/{service.version}",
                        options={"company_db": COMPANY_DB}, ca_file=certificate)  # fmt: skip


def test_orders_of_all_pages_and_the_session_is_given_back(
    plain_database: str, plant: Plant, service: ServiceLayer
) -> None:
    assert ask(plain_database, plant, KEYS).problems == []
    due = dt.date(2026, 12, 1)
    assert rows(plain_database, ORDERS) == [
        ("1000", "open", "P-100", 500, 120, 3, due), ("1001", "open", "P-100", 500, 120, 3, due),
        ("1002", "closed", "P-100", 500, 120, 3, due), ("1003", "cancelled", "P-100", 500, 120, 3, due),
    ]  # fmt: skip
    assert (service.logins, service.sessions) == (2, set())


def test_what_items_cost_and_what_they_are_counted_in(plain_database: str, plant: Plant, service: ServiceLayer) -> None:
    service.orders[0]["ItemNo"] = "P-300"
    ask(plain_database, plant, KEYS)
    assert rows(plain_database, "SELECT order_unit FROM work_orders ORDER BY work_order")[:2] == [(None,), ("EA",)]
    costs = rows(plain_database, "SELECT part_number, since, material_cost_per_unit FROM part_costs ORDER BY 1")
    assert costs == [("P-100", plant.first_day, Decimal("4.25")), ("P-300", plant.first_day, Decimal("1.1"))]
    assert rows(plain_database, "SELECT reason, origin FROM quarantine") == [("bad_number", "sap/item_costs")]


def test_a_session_that_ended_is_begun_anew_once(
    plain_database: str, plant: Plant, service: ServiceLayer, mishaps: Mishaps
) -> None:
    mishaps.next("ProductionOrders", NO_SESSION)
    assert ask(plain_database, plant, KEYS).problems == []
    assert service.logins == 3
    mishaps.next("ProductionOrders", NO_SESSION, NO_SESSION)
    (problem,) = ask(plain_database, plant, KEYS, NOW + dt.timedelta(days=1)).problems
    assert "refuses our credentials (401)" in problem
    assert service.logins == 6


@pytest.mark.parametrize("mishap", [a_login_page(), broken(404)])
def test_the_session_is_given_back_also_where_something_fails(
    plain_database: str, plant: Plant, service: ServiceLayer, mishaps: Mishaps, mishap: Any
) -> None:
    mishaps.next("ProductionOrders", mishap)
    assert len(ask(plain_database, plant, KEYS).problems) == 1
    assert service.sessions == set()
    assert rows(plain_database, ORDERS) == []


def test_a_logout_that_fails_loses_nothing_that_was_read(plain_database: str, plant: Plant, mishaps: Mishaps) -> None:
    mishaps.next("Logout", broken(404))
    assert ask(plain_database, plant, KEYS).problems == []
    assert len(rows(plain_database, ORDERS)) == 4


def test_a_bad_order_is_set_aside_by_name(plain_database: str, plant: Plant, service: ServiceLayer) -> None:
    service.orders += [order(8, "boposOnHold"), order(9, PlannedQuantity="many"), order(10, DocumentNumber=None)]
    ask(plain_database, plant, KEYS)
    assert len(rows(plain_database, ORDERS)) == 4
    of_orders = "WHERE origin = 'sap/production_orders'"
    found = rows(plain_database, f"SELECT reason FROM quarantine {of_orders} ORDER BY 1")
    assert found == [("bad_number",), ("bad_status",), ("missing_field",)]


def test_a_wrong_password_is_one_sentence_without_it(
    plain_database: str, plant: Plant, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        problems = ask(plain_database, plant, KEYS | {"PRODLYTICS_SAP_PASSWORD": "guessed-wrong"}).problems
    assert len(problems) == 2
    assert all("/Login refuses our credentials (401)" in problem for problem in problems)
    assert "guessed-wrong" not in caplog.text + "".join(problems)
