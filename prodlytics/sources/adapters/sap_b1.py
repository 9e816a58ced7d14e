"""SAP Business One, Service Layer: production orders, and what items cost.

Belongs here: its words, and its sessions, each of which occupies a licence: they are ended, whatever happens. Does not
belong here: pages (`odata.py`). Orders carry no time of change we could ask from: every pass reads them whole.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal

from prodlytics.sources import odata
from prodlytics.sources.ask import CredentialsRefusedError, SourceUnavailableError, ask, session
from prodlytics.sources.connectors import ReadWhole

if TYPE_CHECKING:
    import requests

    from prodlytics.plant.connection import Connection
    from prodlytics.plant.model import Plant

Rows = list[dict[str, Any]]

OPTIONS: Mapping[str, str | None] = {"company_db": None}
SECRETS = ("user", "password")

_FIELDS = (
    "AbsoluteEntry,DocumentNumber,ItemNo,ProductDescription,PlannedQuantity,CompletedQuantity,RejectedQuantity,"
    "ProductionOrderStatus,DueDate"
)
_STATUS = {
    "boposPlanned": "open",
    "boposReleased": "open",
    "boposClosed": "closed",
    "boposCancelled": "cancelled",
}
#: Records a page; 20 where nobody asks.
_PAGE = 500


def adapters(
    connection: Connection, options: Mapping[str, str], secrets: Mapping[str, str], plant: Plant
) -> Sequence[ProductionOrders | ItemCosts]:
    """Production orders and item costs of one company database."""
    login = {"CompanyDB": options["company_db"], "UserName": secrets["user"], "Password": secrets["password"]}
    service = _Service(connection, login)
    return ProductionOrders(connection, service), ItemCosts(connection, service)


class _Resource(ReadWhole):
    """What both resources have in common."""

    def __init__(self, connection: Connection, service: _Service) -> None:
        super().__init__(connection)
        self._service = service


class ProductionOrders(_Resource):
    """One row an order, by the document number people know."""

    resource = "production_orders"
    dataset: Literal["work_orders"] = "work_orders"

    def pages(self, since: dt.datetime | None) -> Iterable[dict[str, Rows]]:
        """One page of everything: the unit of an order's quantities is its item's."""
        with self._service.logged_in() as asked:
            yield {
                "orders": asked.everything("ProductionOrders", _FIELDS, "AbsoluteEntry"),
                "items": asked.everything("Items", "ItemCode,InventoryUOM", "ItemCode"),
            }

    def parse(self, page: Mapping[str, Rows]) -> list[Mapping[str, object]]:
        """One row an order; a status that is not documented is passed on and refused by name."""
        units = {item.get("ItemCode"): item.get("InventoryUOM") for item in page["items"]}
        return [
            {
                "work_order": order.get("DocumentNumber"),
                "part_number": order.get("ItemNo"),
                "part_description": order.get("ProductDescription") or None,
                "order_qty": order.get("PlannedQuantity"),
                "completed_qty": order.get("CompletedQuantity"),
                "scrap_qty": order.get("RejectedQuantity"),
                "order_unit": units.get(order.get("ItemNo")) or None,
                "due_date": order.get("DueDate"),
                "status": _STATUS.get(str(order.get("ProductionOrderStatus")), order.get("ProductionOrderStatus")),
            }
            for order in page["orders"]
        ]


class ItemCosts(_Resource):
    """The average or standard cost of items, whichever they are valued by; it carries no date."""

    resource = "item_costs"
    dataset: Literal["part_costs"] = "part_costs"

    def pages(self, since: dt.datetime | None) -> Iterable[Rows]:
        """All items as one page."""
        with self._service.logged_in() as asked:
            yield asked.everything("Items", "ItemCode,AvgStdPrice", "ItemCode")

    def parse(self, page: Rows) -> list[Mapping[str, object]]:
        """One row an item. A cost of nothing is one nobody has entered."""
        return [
            {"part_number": item.get("ItemCode"), "material_cost_per_unit": item.get("AvgStdPrice")}
            for item in page
            if item.get("AvgStdPrice") != 0
        ]


class _Service:
    """The Service Layer, asked within a session."""

    def __init__(self, connection: Connection, login: Mapping[str, str]) -> None:
        self.url = connection.url.rstrip("/")
        self._ca_file, self._login = connection.ca_file, login
        self._over: requests.Session = self._new()

    @contextmanager
    def logged_in(self) -> Iterator[_Service]:
        """Log in, and out again."""
        self._over = self._new()
        self._log_in()
        try:
            yield self
        finally:
            # What was read is not lost because a session lasts half an hour longer.
            with suppress(SourceUnavailableError):
                ask(self._over, "POST", f"{self.url}/Logout")

    def everything(self, entities: str, select: str, order: str) -> Rows:
        """All records of a list, within a session."""
        return odata.everything(self.ask, f"{self.url}/{entities}", select=select, orderby=order)

    def ask(self, method: str, url: str, **said: Any) -> Any:
        """As `ask.ask`; after a session that has ended once more in a new one."""
        try:
            return ask(self._over, method, url, **said)
        except CredentialsRefusedError as error:
            if error.status != 401:
                raise
        self._log_in()
        return ask(self._over, method, url, **said)

    def _new(self) -> requests.Session:
        return session({"Prefer": f"odata.maxpagesize={_PAGE}"}, ca_file=self._ca_file)

    def _log_in(self) -> None:
        # The cookies B1SESSION and ROUTEID stay with the session and go with every request.
        self._over.cookies.clear()
        ask(self._over, "POST", f"{self.url}/Login", json=dict(self._login))
