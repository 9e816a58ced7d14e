"""Dynamics 365 Business Central: production orders by line, scrap with its code, run times, and what items cost.

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
from prodlytics.plant.calendar import production_date_of, production_day
from prodlytics.sources import odata
from prodlytics.sources.ask import session
from prodlytics.sources.connections import ConnectionSetupError
from prodlytics.sources.connectors import ReadWhole
from prodlytics.sources.oauth import ClientCredentials
from prodlytics.sources.standard_times import StandardTimes

if TYPE_CHECKING:
    from prodlytics.plant.connection import Connection
    from prodlytics.plant.model import Plant

OPTIONS: Mapping[str, str | None] = {
    "tenant": None,
    "environment": "production",
    "company": None,
    "token_url": "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
    # What run times of routings are in: seconds, minutes, hours. Their lines do not say it; empty: they are not read.
    "run_time_unit": "",
    # yes where the company's version gives `scrapCode` with capacity ledger entries; a query for a field that is not
    # there is refused.
    "scrap_codes": "",
}
SECRETS = ("client_id", "client_secret")

Rows = list[dict[str, Any]]

_SCOPE = "https://api.businesscentral.dynamics.com/.default"
_STATUS = {"Planned": "open", "Firm Planned": "open", "Released": "open", "Finished": "closed"}
_UNIT_MS = {"seconds": Decimal(1_000), "minutes": Decimal(60_000), "hours": Decimal(3_600_000)}
#: How an empty date is written there.
_NO_DATE = "0001-01-01"


def adapters(
    connection: Connection, options: Mapping[str, str], secrets: Mapping[str, str], plant: Plant
) -> Sequence[_Resource]:
    """Order lines and item costs; run times and scrap where the options say so."""
    unit, codes = options["run_time_unit"], options["scrap_codes"]
    if unit and unit not in _UNIT_MS:
        raise ConnectionSetupError(f"Connection {connection.name}: write run_time_unit as {', '.join(_UNIT_MS)}.")
    if codes not in ("", "yes"):
        raise ConnectionSetupError(f"Connection {connection.name}: write scrap_codes as yes, or leave it out.")
    over = session({}, ca_file=connection.ca_file)
    token_url = options["token_url"].format(tenant=options["tenant"])
    asked = ClientCredentials(over, token_url, secrets["client_id"], secrets["client_secret"], scope=_SCOPE)
    base = f"{connection.url.rstrip('/')}/{options['tenant']}/{options['environment']}/api"
    company = f"companies({options['company']})"
    machines = {**MachineNames.of(plant).ids, **connection.machines}
    at = _Asked(asked, f"{base}/microsoft/analytics/v1.0/{company}", f"{base}/v2.0/{company}")
    resources: list[_Resource] = [OrderLines(connection, machines, at), ItemCosts(connection, machines, at)]
    if unit:
        resources.append(RunTimes(connection, machines, at, _UNIT_MS[unit]))
    if codes:
        resources.append(CodedScrap(connection, machines, at, plant))
    return resources


class _Asked:
    """Lists of one company, by analytics API or API v2.0."""

    def __init__(self, asked: ClientCredentials, analytics: str, standard: str) -> None:
        self._asked, self._analytics, self._standard = asked, analytics, standard

    def analytics(self, name: str, **params: str) -> Rows:
        """All records of a list of the analytics API."""
        return odata.everything(self._asked.ask, f"{self._analytics}/{name}", **params)

    def items(self, select: str) -> Rows:
        """All items, from API v2.0."""
        return odata.everything(self._asked.ask, f"{self._standard}/items", select=select, orderby="number")


class _Resource(ReadWhole):
    """What both resources have in common."""

    def __init__(self, connection: Connection, machines: Mapping[str, str], asked: _Asked) -> None:
        super().__init__(connection)
        self._machines, self._asked = machines, asked

    def _center(self, row: Mapping[str, Any]) -> str | None:
        """Our machine, where a row is of a machine center that is one."""
        is_machine = str(row.get("type")).replace("_x0020_", " ") == "Machine Center"
        return self._machines.get(str(row.get("no"))) if is_machine else None


class OrderLines(_Resource):
    """A production order has lines; each makes one item. What was booked on it is in the capacity ledger."""

    dataset: Literal["work_orders"] = "work_orders"
    resource = "order_lines"

    def pages(self, since: dt.datetime | None) -> Iterable[dict[str, Rows]]:
        """One page of everything: a line needs its order, its bookings and the unit of its item."""
        yield {
            "orders": self._asked.analytics(
                "manufacturingProductionOrders", select="status,no,description,dueDate", orderby="no"
            ),
            "lines": self._asked.analytics(
                "manufacturingProdOrderLines",
                select="prodOrderStatus,prodOrderNo,prodOrderLineNo,itemNo,quantityBase,finishedQtyBase",
                orderby="prodOrderNo,prodOrderLineNo",
            ),
            "bookings": self._asked.analytics(
                "capacityLedgerEntries",
                select="entryNo,orderNo,orderLineNo,type,no,scrapQuantity",
                orderby="entryNo",
            ),
            "items": self._asked.items("number,baseUnitOfMeasureCode"),
        }  # fmt: skip

    def parse(self, page: Mapping[str, Rows]) -> list[Mapping[str, object]]:
        """One row a line; simulated orders are nobody's work and left out."""
        orders = {order.get("no"): order for order in page["orders"]}
        units = {item.get("number"): item.get("baseUnitOfMeasureCode") for item in page["items"]}
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
                "order_unit": units.get(line.get("itemNo")) or None,
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

    def pages(self, since: dt.datetime | None) -> Iterable[Rows]:
        """All items as one page."""
        yield self._asked.items("number,unitCost,lastModifiedDateTime")

    def parse(self, page: Rows) -> list[Mapping[str, object]]:
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


class RunTimes(_Resource):
    """The run time of an operation on a machine center of ours, as the item's ideal cycle there since it began."""

    dataset: Literal["ideal_cycles"] = "ideal_cycles"
    resource = "run_times"

    def __init__(self, connection: Connection, machines: Mapping[str, str], asked: _Asked, unit_ms: Decimal) -> None:
        super().__init__(connection, machines, asked)
        self._unit_ms = unit_ms

    def pages(self, since: dt.datetime | None) -> Iterable[dict[str, Rows]]:
        """One page: a routing line does not say its item."""
        yield {
            "lines": self._asked.analytics(
                "manufacturingProdOrderLines",
                select="prodOrderNo,prodOrderLineNo,itemNo,routingReferenceNo",
                orderby="prodOrderNo,prodOrderLineNo",
            ),
            "operations": self._asked.analytics(
                "prodOrderRoutingLines",
                select="prodOrderNo,routingReferenceNo,operationNo,type,no,runTime,startingDateTime",
                orderby="prodOrderNo,routingReferenceNo,operationNo",
            ),
        }  # fmt: skip

    def parse(self, page: Mapping[str, Rows]) -> list[Mapping[str, object]]:
        """One row where the run time begins to be another. No run time is one nobody has entered."""
        items = {
            (line.get("prodOrderNo"), line.get("routingReferenceNo")): line.get("itemNo") for line in page["lines"]
        }
        standards = StandardTimes()
        for operation in page["operations"]:
            machine, run = self._center(operation), operation.get("runTime")
            if machine is None or run == 0 or str(operation.get("startingDateTime")).startswith(_NO_DATE):
                continue
            order = (operation.get("prodOrderNo"), operation.get("routingReferenceNo"))
            cycle = run * self._unit_ms if isinstance(run, int | Decimal) else None
            standards.add(items.get(order), machine, operation.get("startingDateTime"), order, cycle)
        return standards.rows()


class CodedScrap(_Resource):
    """Scrap with its code, as said of the production day it was posted on: its hour is not in the ledger."""

    dataset: Literal["operator_entries"] = "operator_entries"
    resource = "scrap"
    reach = dt.timedelta(days=31)

    def __init__(self, connection: Connection, machines: Mapping[str, str], asked: _Asked, plant: Plant) -> None:
        super().__init__(connection, machines, asked)
        self._plant = plant

    def pages(self, since: dt.datetime | None) -> Iterable[Rows]:
        """Entries posted within `reach`."""
        begins = production_date_of(self._plant, dt.datetime.now(dt.UTC)) - self.reach
        yield self._asked.analytics(
            "capacityLedgerEntries",
            select="entryNo,orderNo,type,no,postingDate,itemNo,scrapQuantity,scrapCode",
            filter=f"postingDate ge {begins.isoformat()}",
            orderby="entryNo",
        )

    def parse(self, page: Rows) -> list[Mapping[str, object]]:
        """One entry for each posting of scrap that has a code, on a machine of ours."""
        told: list[Mapping[str, object]] = []
        for row in {row.get("entryNo"): row for row in page}.values():
            machine, code = self._center(row), row.get("scrapCode")
            if machine is None or not code or row.get("scrapQuantity") == 0:
                continue
            begins, ends = _day(self._plant, row.get("postingDate"))
            told.append({
                "source_key": row.get("entryNo"), "machine_id": machine, "kind": "scrap", "starts_at": begins,
                "ends_at": ends, "quantity": row.get("scrapQuantity"), "scrap_reason": code,
                "part_number": row.get("itemNo"), "work_order": row.get("orderNo"),
                # The ledger names nobody.
                "entered_by": self.source, "entered_at": ends,
            })  # fmt: skip
        return told


def _day(plant: Plant, date: object) -> tuple[dt.datetime | None, dt.datetime | None]:
    """The production day; nothing for what is no date."""
    try:
        return production_day(plant, dt.date.fromisoformat(str(date)))
    except ValueError:
        return None, None


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
