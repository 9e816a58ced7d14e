"""Dynamics 365 Business Central: production orders by line, and what items cost.

Belongs here: its words and addresses, from the analytics API and API v2.0 as Microsoft documents them. Does not belong
here: tokens (`oauth.py`), pages (`odata.py`). The lists have no time of change we could ask from, so that every pass
reads them whole.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from prodlytics.formats.names import MachineNames
from prodlytics.sources import odata
from prodlytics.sources.ask import session
from prodlytics.sources.connectors import ReadWhole
from prodlytics.sources.oauth import ClientCredentials

if TYPE_CHECKING:
    from prodlytics.plant.connection import Connection
    from prodlytics.plant.model import Plant

OPTIONS: Mapping[str, str | None] = {
    "tenant": None,
    "environment": "production",
    "company": None,
    "token_url": "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
}
SECRETS = ("client_id", "client_secret")

_SCOPE = "https://api.businesscentral.dynamics.com/.default"
_STATUS = {"Planned": "open", "Firm Planned": "open", "Released": "open", "Finished": "closed"}
#: How an empty date is written there.
_NO_DATE = "0001-01-01"


def adapters(
    connection: Connection, options: Mapping[str, str], secrets: Mapping[str, str], plant: Plant
) -> Sequence[OrderLines | ItemCosts]:
    """Order lines and item costs."""
    over = session({}, ca_file=connection.ca_file)
    token_url = options["token_url"].format(tenant=options["tenant"])
    asked = ClientCredentials(over, token_url, secrets["client_id"], secrets["client_secret"], scope=_SCOPE)
    base = f"{connection.url.rstrip('/')}/{options['tenant']}/{options['environment']}/api"
    company = f"companies({options['company']})"
    machines = {**MachineNames.of(plant).ids, **connection.machines}
    return (
        OrderLines(connection, machines, asked, f"{base}/microsoft/analytics/v1.0/{company}"),
        ItemCosts(connection, machines, asked, f"{base}/v2.0/{company}"),
    )


class _Resource(ReadWhole):
    """What both resources have in common."""

    def __init__(self, connection: Connection, machines: Mapping[str, str], asked: ClientCredentials, url: str) -> None:
        super().__init__(connection)
        self._machines, self._asked, self._url = machines, asked, url

    def _list(self, name: str, **params: str) -> list[dict[str, Any]]:
        return odata.everything(self._asked.ask, f"{self._url}/{name}", **params)


class OrderLines(_Resource):
    """A production order has lines; each makes one item. What was booked on it is in the capacity ledger."""

    dataset: Literal["work_orders"] = "work_orders"
    resource = "order_lines"

    def pages(self, since: dt.datetime | None) -> Iterable[dict[str, list[dict[str, Any]]]]:
        """One page of everything: a line needs its order and its bookings."""
        yield {
            "orders": self._list(
                "manufacturingProductionOrders", select="status,no,description,dueDate", orderby="no"
            ),
            "lines": self._list(
                "manufacturingProdOrderLines",
                select="prodOrderStatus,prodOrderNo,prodOrderLineNo,itemNo,quantityBase,finishedQtyBase",
                orderby="prodOrderNo,prodOrderLineNo",
            ),
            "bookings": self._list(
                "capacityLedgerEntries",
                select="entryNo,orderNo,orderLineNo,type,no,scrapQuantity",
                orderby="entryNo",
            ),
        }  # fmt: skip

    def parse(self, page: Mapping[str, list[dict[str, Any]]]) -> list[Mapping[str, object]]:
        """One row a line; simulated orders are nobody's work and left out."""
        orders = {order.get("no"): order for order in page["orders"]}
        scrap, machines = _booked(page["bookings"])
        told: list[Mapping[str, object]] = []
        for line in page["lines"]:
            status = str(line.get("prodOrderStatus")).replace("_x0020_", " ")
            if status == "Simulated":
                continue
            order = orders.get(line.get("prodOrderNo"), {})
            key = (line.get("prodOrderNo"), line.get("prodOrderLineNo"))
            due = order.get("dueDate")
            told.append({
                "work_order": line.get("prodOrderNo"),
                "operation": line.get("prodOrderLineNo"),
                "part_number": line.get("itemNo"),
                "part_description": order.get("description") or None,
                "machine_id": self._machine(machines.get(key, set())),
                "order_qty": line.get("quantityBase"),
                "completed_qty": line.get("finishedQtyBase"),
                # What nobody booked is not known to be without scrap.
                "scrap_qty": scrap.get(key),
                "due_date": None if due == _NO_DATE else due,
                "status": _STATUS.get(status, status),
            })  # fmt: skip
        return told

    def _machine(self, centers: set[str]) -> str | None:
        """The one machine of ours that worked on a line; a line made on several is no one machine's.

        Centers that are no machine of ours are left out: an order also passes through benches.
        """
        ours = {self._machines[center] for center in centers if center in self._machines}
        return ours.pop() if len(ours) == 1 else None


class ItemCosts(_Resource):
    """The unit cost of items, which holds from the day the item was changed."""

    dataset: Literal["part_costs"] = "part_costs"
    resource = "item_costs"

    def pages(self, since: dt.datetime | None) -> Iterable[list[dict[str, Any]]]:
        """All items as one page."""
        yield self._list("items", select="number,unitCost,lastModifiedDateTime", orderby="number")

    def parse(self, page: list[dict[str, Any]]) -> list[Mapping[str, object]]:
        """One row an item. A cost of nothing is one nobody has entered."""
        return [
            {
                "part_number": item.get("number"),
                "since": item.get("lastModifiedDateTime"),
                "material_cost_per_unit": item.get("unitCost"),
            }
            for item in page
            if item.get("unitCost") != 0
        ]


def _booked(
    bookings: Iterable[Mapping[str, Any]],
) -> tuple[dict[tuple[Any, Any], Decimal | None], dict[tuple[Any, Any], set[str]]]:
    """Scrap by order and line (None where a booking cannot be read), and the machine centers that worked on it."""
    scrap: dict[tuple[Any, Any], Decimal | None] = {}
    centers: dict[tuple[Any, Any], set[str]] = {}
    # An entry that stands on two pages was booked once.
    for entry in {booking.get("entryNo"): booking for booking in bookings}.values():
        key = (entry.get("orderNo"), entry.get("orderLineNo"))
        quantity, before = entry.get("scrapQuantity"), scrap.get(key, Decimal(0))
        scrap[key] = before + quantity if before is not None and isinstance(quantity, int | Decimal) else None
        if str(entry.get("type")).replace("_x0020_", " ") == "Machine Center":
            centers.setdefault(key, set()).add(str(entry.get("no")))
    return scrap, centers
