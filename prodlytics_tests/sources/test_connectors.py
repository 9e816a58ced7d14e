"""The adapter contract against a fake ERP on loopback: no vendor's server, only paging, throttling and errors."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from prodlytics.sources.ask import SourceUnavailableError, ask, session
from prodlytics.sources.connectors import sync
from prodlytics.sources.counts import Counts
from prodlytics_tests.sources.landing_place import at, landing_plant, rows

PLANT = landing_plant()
KEY = "key-nobody-may-see"
NOW = at(7200)
#: A number no float holds.
MONEY = "12345678901234567.25"


class FakeErp:
    """Orders by pages of two, ordered by change; `failures` are answered first, in turn."""

    def __init__(self) -> None:
        self.orders: list[dict[str, Any]] = []
        self.failures: dict[int, list[tuple[int, dict[str, str]]]] = {}
        self.asked: list[dict[str, str]] = []
        self.url = ""

    def answer(self, asked: dict[str, str], key: str | None) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(asked)
        if key != KEY:
            return 401, {}, b"{}"
        skip = int(asked["skip"])
        if self.failures.get(skip):
            return *self.failures[skip].pop(0), b"{}"
        since = asked.get("since", "")
        changed = sorted((o for o in self.orders if o["changed"] >= since), key=lambda o: (o["changed"], o["no"]))
        body = json.dumps({"value": changed[skip : skip + 2]}).replace('"MONEY"', MONEY)
        return 200, {}, body.encode()


@contextmanager
def serving(erp: FakeErp) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = {name: said[0] for name, said in parse_qs(urlsplit(self.path).query).items()}
            status, headers, body = erp.answer(asked, self.headers.get("x-api-key"))
            self.send_response(status)
            for name, said in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, said)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    erp.url = f"http://127.0.0.1:{server.server_port}/orders"
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def erp() -> Iterator[FakeErp]:
    fake = FakeErp()
    with serving(fake):
        yield fake


class Orders:
    """An adapter as docs/connectors.md describes it."""

    source = "erp"
    said_by: Literal["erp"] = "erp"
    resource = "work_orders"
    dataset: Literal["work_orders"] = "work_orders"
    overlap = dt.timedelta(minutes=10)
    timezone = None
    reach = None
    complete = False

    def __init__(self, url: str, key: str = KEY) -> None:
        self._url, self._session = url, session({"x-api-key": key}, attempts=2, backoff_s=0)

    def pages(self, since: dt.datetime | None) -> Iterable[Any]:
        asked = {} if since is None else {"since": since.isoformat()}
        skip = 0
        while page := ask(self._session, "GET", self._url, params={**asked, "skip": skip})["value"]:
            yield page
            skip += len(page)

    def parse(self, page: Any) -> list[Mapping[str, object]]:
        return [
            {
                "work_order": order["no"],
                "status": order["status"],
                "machine_id": "Press01",
                "material_cost_per_unit": order.get("cost"),
                "currency": "USD",
                "due_date": "2019-10-02T00:00:00-05:00",
                "source_modified_at": order["changed"],
            }
            for order in page
        ]


def order(no: str, second: int, **said: Any) -> dict[str, Any]:
    return {"no": no, "status": "open", "changed": at(second).isoformat(), **said}


def run(url: str, erp: FakeErp, now: dt.datetime = NOW, key: str = KEY) -> Counts:
    with psycopg.connect(url, autocommit=True) as conn:
        return sync(conn, PLANT, Orders(erp.url, key), now)


def stored(url: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in rows(url, "SELECT work_order, status FROM work_orders ORDER BY 1")]


def cursors(url: str) -> list[Any]:
    return [row[0] for row in rows(url, "SELECT cursor FROM sync_state")]


def test_all_pages_arrive_with_money_and_dates_as_sent(plain_database: str, erp: FakeErp) -> None:
    erp.orders = [order(f"W{n}", n, cost="MONEY") for n in range(5)]
    assert run(plain_database, erp) == Counts(rows_in=5, stored=5)
    found = rows(plain_database, "SELECT DISTINCT material_cost_per_unit, currency, due_date FROM work_orders")
    assert found == [(Decimal(MONEY), "USD", dt.date(2019, 10, 2))]
    assert [asked["skip"] for asked in erp.asked] == ["0", "2", "4", "5"]


def test_the_overlap_doubles_nothing_and_takes_late_corrections(plain_database: str, erp: FakeErp) -> None:
    erp.orders = [order("W1", 0), order("W2", 3600)]
    run(plain_database, erp)
    erp.orders = [order("W1", 0), order("W2", 3600), order("W3", 3300, status="closed")]
    assert run(plain_database, erp) == Counts(rows_in=2, stored=1, duplicate=1)
    assert erp.asked[-1]["since"] == at(3000).isoformat()
    assert stored(plain_database) == [("W1", "open"), ("W2", "open"), ("W3", "closed")]


def test_once_a_day_everything_is_asked_for(plain_database: str, erp: FakeErp) -> None:
    erp.orders = [order("W1", 0), order("W2", 3600)]
    run(plain_database, erp)
    erp.orders[0]["status"] = "closed"
    assert run(plain_database, erp, NOW + dt.timedelta(hours=23)).stored == 0
    assert run(plain_database, erp, NOW + dt.timedelta(hours=24)).stored == 1
    assert stored(plain_database)[0] == ("W1", "closed")


def test_a_page_that_fails_leaves_neither_rows_nor_a_cursor(plain_database: str, erp: FakeErp) -> None:
    erp.orders = [order(f"W{n}", n) for n in range(4)]
    erp.failures = {2: [(500, {})] * 3}
    with pytest.raises(SourceUnavailableError, match="answers 500"):
        run(plain_database, erp)
    assert (stored(plain_database), cursors(plain_database)) == ([], [{}])
    assert run(plain_database, erp).stored == 4


@pytest.mark.parametrize("failure", [(429, {"Retry-After": "0"}), (429, {}), (503, {})])
def test_what_passes_is_asked_again(plain_database: str, erp: FakeErp, failure: tuple[int, dict[str, str]]) -> None:
    erp.orders = [order("W1", 0)]
    erp.failures = {0: [failure, failure]}
    assert run(plain_database, erp).stored == 1
    assert [asked["skip"] for asked in erp.asked] == ["0", "0", "0", "1"]


def test_a_bad_record_is_set_aside_once_with_its_reason(plain_database: str, erp: FakeErp) -> None:
    erp.orders = [order("W1", 0), order("W2", 0, status="lost"), order("W3", 0, cost=-1)]
    assert run(plain_database, erp) == Counts(rows_in=3, stored=1, quarantined=2)
    assert run(plain_database, erp) == Counts(rows_in=3, duplicate=3)
    found = rows(plain_database, "SELECT reason, origin FROM quarantine ORDER BY 1")
    assert found == [("bad_status", "erp/work_orders"), ("negative_number", "erp/work_orders")]


def test_a_clock_ahead_does_not_hide_the_next_change(plain_database: str, erp: FakeErp) -> None:
    erp.orders = [order("W1", 90_000)]
    run(plain_database, erp)
    assert dt.datetime.fromisoformat(cursors(plain_database)[0]["modified_at"]) == NOW


def test_a_refused_key_is_one_sentence_without_the_key(
    plain_database: str, erp: FakeErp, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = KEY + "-wrong"
    with caplog.at_level(logging.DEBUG), pytest.raises(SourceUnavailableError, match="refuses our credentials") as said:
        run(plain_database, erp, key=wrong)
    assert wrong not in str(said.value) + caplog.text
    assert cursors(plain_database) == [{}]
