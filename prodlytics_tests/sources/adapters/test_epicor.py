"""Epicor Kinetic over HTTP, as documented, with what goes wrong there."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from prodlytics.plant.model import Plant
from prodlytics_tests.sources.adapters.vendor import NOW, ask, connected
from prodlytics_tests.sources.landing_place import rows
from prodlytics_tests.vendors.epicor import COMPANY, KEY, PASSWORD, USER, Kinetic, a_company, job
from prodlytics_tests.vendors.serving import Mishaps, a_login_page, broken, serving, throttled

KEYS = {"PRODLYTICS_ERP_API_KEY": KEY, "PRODLYTICS_ERP_USER": USER, "PRODLYTICS_ERP_PASSWORD": PASSWORD}
ORDERS = (
    "SELECT work_order, operation, status, part_number, part_description, order_qty, completed_qty, scrap_qty, due_date"
    " FROM work_orders ORDER BY 1, 2"
)
DUE = dt.date(2019, 10, 2)


@pytest.fixture
def kinetic() -> Kinetic:
    return a_company(
        job("000003", JobComplete=True), job("000001", DueDate="2019-10-02T00:00:00"),
        job("000002", JobClosed=True, PartDescription="", ProdQty=2.5, DueDate=None),
    )  # fmt: skip


@pytest.fixture
def plant(kinetic: Kinetic, mishaps: Mishaps) -> Iterator[Plant]:
    with serving(kinetic.app(), mishaps) as url:
        yield erp(url)


def erp(url: str, **options: str) -> Plant:
    options = {"company": COMPANY, "page_size": "2", "resources": "jobs", **options}
    return connected(name="erp", kind="epicor", url=f"{url}/kinetic/", options=options)


def test_jobs_are_orders_and_a_due_date_stays_the_date_it_is(plain_database: str, plant: Plant) -> None:
    assert ask(plain_database, plant, KEYS).problems == []
    assert rows(plain_database, ORDERS) == [
        ("000001", "", "open", "P-100", "Bracket", 500, 120, None, DUE),
        ("000002", "", "closed", "P-100", None, Decimal("2.5"), 120, None, None),
        ("000003", "", "closed", "P-100", "Bracket", 500, 120, None, DUE),
    ]


def test_only_one_site_is_read_where_one_is_named(plain_database: str, plant: Plant, kinetic: Kinetic) -> None:
    kinetic.jobs[0]["Plant"] = "O'Brien"
    url = plant.connections[0].url.removesuffix("/kinetic/")
    assert ask(plain_database, erp(url, site="O'Brien"), KEYS).problems == []
    assert [row[0] for row in rows(plain_database, ORDERS)] == ["000003"]


def test_a_job_that_is_deleted_or_closed_there_is_so_here(plain_database: str, plant: Plant, kinetic: Kinetic) -> None:
    kinetic.jobs += [job("000004"), job("000005")]
    ask(plain_database, plant, KEYS)
    kinetic.jobs = [*kinetic.jobs[:3], job("000005", JobClosed=True)]
    ask(plain_database, plant, KEYS, NOW + dt.timedelta(days=1))
    assert [row[2] for row in rows(plain_database, ORDERS)] == ["open", "closed", "closed", "cancelled", "closed"]


@pytest.mark.parametrize("mishap", [throttled(), broken(500), broken(502)])
def test_what_passes_is_asked_again(plain_database: str, plant: Plant, mishaps: Mishaps, mishap: Any) -> None:
    mishaps.next("JobEntries", mishap)
    assert ask(plain_database, plant, KEYS).problems == []
    assert len(rows(plain_database, ORDERS)) == 3


def test_a_bad_job_is_set_aside_and_the_others_come(plain_database: str, plant: Plant, kinetic: Kinetic) -> None:
    kinetic.jobs += [job("000004", JobClosed="no"), job("000005", ProdQty=-1), job("000006", DueDate="soon"), {"x": 1}]
    ask(plain_database, plant, KEYS)
    assert len(rows(plain_database, ORDERS)) == 3
    found = rows(plain_database, "SELECT reason, count(*) FROM quarantine GROUP BY 1 ORDER BY 1")
    assert found == [("bad_date", 1), ("missing_field", 2), ("negative_number", 1)]


def test_a_server_that_gives_the_same_page_for_ever_is_noticed(
    plain_database: str, plant: Plant, kinetic: Kinetic
) -> None:
    kinetic.ignores_skip = True
    (problem,) = ask(plain_database, plant, KEYS).problems
    assert problem.endswith("gives the same page again, whatever is skipped.")
    assert rows(plain_database, ORDERS) == []


def test_a_page_that_is_a_login_form_stores_nothing(plain_database: str, plant: Plant, mishaps: Mishaps) -> None:
    mishaps.next("JobEntries", a_login_page())
    (problem,) = ask(plain_database, plant, KEYS).problems
    assert problem.endswith("answers with text/html that is not JSON.")


@pytest.mark.parametrize("name", ["API_KEY", "USER", "PASSWORD"])
def test_wrong_credentials_are_one_sentence_without_them(
    plain_database: str, plant: Plant, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    with caplog.at_level(logging.DEBUG):
        (problem,) = ask(plain_database, plant, KEYS | {f"PRODLYTICS_ERP_{name}": "guessed-wrong"}).problems
    assert "refuses our credentials (401)" in problem
    assert not any(secret in caplog.text + problem for secret in ("guessed-wrong", KEY, PASSWORD))


def test_a_page_size_that_is_none_is_one_sentence(plain_database: str) -> None:
    (problem,) = ask(plain_database, erp("http://127.0.0.1:1", page_size="all"), KEYS).problems
    assert problem == "Connection erp: page_size is a number of records, e.g. 500."
