"""JobBOSS² (ECi), REST: jobs, their steps, what people booked on them, and how long a part should take.

Belongs here: its words and addresses. Does not belong here: tokens (`oauth.py`), from when a standard holds
(`standard_times.py`). Times of change are UTC; tickets carry a day and wall times. What a part's material costs is not
in any list whose meaning is documented, and is left out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from prodlytics.formats.names import MachineNames
from prodlytics.sources.ask import SourceUnavailableError, session
from prodlytics.sources.changed_there import entry_key
from prodlytics.sources.connectors import ReadWhole
from prodlytics.sources.oauth import ClientCredentials
from prodlytics.sources.standard_times import StandardTimes

if TYPE_CHECKING:
    from prodlytics.plant.connection import Connection
    from prodlytics.plant.model import Plant

OPTIONS: Mapping[str, str | None] = {
    "token_url": "https://api-user.integrations.ecimanufacturing.com/oauth2/api-user/token",
}
SECRETS = ("client_id", "client_secret")

#: Records a page: more are not given.
TAKE = 200
#: Orders being worked on when the plant began are known from their beginning if it was not longer ago than this.
_BEFORE = dt.timedelta(days=90)
#: How far back bookings are read, and so until when a correction is noticed.
_REACH = dt.timedelta(days=14)
_JOB_STATUS = {"open": "open", "hold": "open", "closed": "closed", "canceled": "cancelled", "cancelled": "cancelled"}
_STEP_STATUS = {
    "current": "open", "future": "open", "pending": "open", "open": "open", "hold": "open",
    "finished": "closed", "closed": "closed", "canceled": "cancelled", "cancelled": "cancelled",
}  # fmt: skip
_UNIT_MS = {
    **dict.fromkeys(("s", "sec", "seconds"), Decimal(1_000)),
    **dict.fromkeys(("m", "min", "minutes"), Decimal(60_000)),
    **dict.fromkeys(("h", "hr", "hours"), Decimal(3_600_000)),
}

Rows = list[dict[str, Any]]


def adapters(
    connection: Connection, options: Mapping[str, str], secrets: Mapping[str, str], plant: Plant
) -> Sequence[_Resource]:
    """Jobs, steps, bookings and standards."""
    over = session({}, ca_file=connection.ca_file)
    asked = ClientCredentials(over, options["token_url"], secrets["client_id"], secrets["client_secret"])
    machines = {**MachineNames.of(plant).ids, **connection.machines}
    earliest = dt.datetime.combine(plant.first_day, dt.time(), dt.UTC) - _BEFORE
    at = _Asked(asked, connection.url.rstrip("/"), machines, earliest)
    return [Jobs(connection, at), Steps(connection, at), Bookings(connection, at), Standards(connection, at)]


@dataclass(frozen=True)
class _Asked:
    """How one company is asked."""

    asked: ClientCredentials
    url: str
    machines: Mapping[str, str]
    earliest: dt.datetime

    def pages(self, name: str, fields: str, since: tuple[str, dt.datetime]) -> Iterator[Rows]:
        """Records of a list by their number; a list that is asked for without a filter is refused there.

        Args:
            name: The list.
            fields: What of each record; a time of change is given only where it is asked for.
            since: A field, and from when on.

        Raises:
            SourceUnavailableError: A page does not come, is no list, or is the one before once more.
        """
        field, begins = since
        before: Rows = []
        skip = 0
        while True:
            said = {
                "fields": fields, "sort": "uniqueID", "take": TAKE, "skip": skip,
                f"{field}[gte]": f"{begins.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}",
            }  # fmt: skip
            page = self.asked.ask("GET", f"{self.url}/{name}", params=said)
            records = page.get("Data") if isinstance(page, dict) else None
            if not isinstance(records, list) or not all(isinstance(one, dict) for one in records):
                raise SourceUnavailableError(f"{self.url}/{name} answers without a list of records under 'Data'")
            if records and records == before:
                raise SourceUnavailableError(f"{self.url}/{name} gives the same page again, whatever is skipped")
            if records:
                yield records
            if len(records) < TAKE:
                return
            skip, before = skip + len(records), records

    def everything(self, name: str, fields: str, field: str = "lastModDate") -> Rows:
        """The same as one list, from the earliest time that matters."""
        return [record for page in self.pages(name, fields, (field, self.earliest)) for record in page]


class _Resource(ReadWhole):
    """What the resources have in common."""

    def __init__(self, connection: Connection, asked: _Asked) -> None:
        super().__init__(connection)
        self._asked = asked

    def _machine(self, row: Mapping[str, Any]) -> str | None:
        """Our machine of a work center; benches are none."""
        return self._asked.machines.get(str(row.get("workCenter") or "").strip())


class Jobs(_Resource):
    """Order line items by job number. Only what changed is read: the filter is inclusive, in whole seconds."""

    resource = "jobs"
    dataset: Literal["work_orders"] = "work_orders"
    overlap = dt.timedelta(minutes=5)

    def pages(self, since: dt.datetime | None) -> Iterable[Rows]:
        """Line items changed since, or since the earliest time that matters."""
        fields = "uniqueID,jobNumber,partNumber,partDescription,quantityToMake,dueDate,status,jobOnHold,lastModDate"
        return self._asked.pages("order-line-items", fields, ("lastModDate", since or self._asked.earliest))

    def parse(self, page: Rows) -> list[Mapping[str, object]]:
        """One row a job; a line without a job number is nothing that is made."""
        return [
            {
                "work_order": line.get("jobNumber"),
                "part_number": line.get("partNumber"),
                "part_description": line.get("partDescription") or None,
                "order_qty": line.get("quantityToMake"),
                "due_date": line.get("dueDate"),
                "status": _known(_JOB_STATUS, line.get("status")),
                "source_modified_at": line.get("lastModDate"),
            }
            for line in page
            if line.get("jobNumber")
        ]


class Steps(_Resource):
    """Steps of jobs on machines of ours: what was made and thrown away there, from the first ticket to the last."""

    resource = "steps"
    dataset: Literal["work_orders"] = "work_orders"

    def pages(self, since: dt.datetime | None) -> Iterable[dict[str, Rows]]:
        """One page: when a step was worked on is in its tickets."""
        yield {
            "steps": self._asked.everything(
                "order-routings",
                "uniqueID,jobNumber,stepNumber,partNumber,workCenter,estimatedQuantity,actualPiecesGood,"
                "actualPiecesScrap,status,lastModDate",
            ),
            "tickets": self._asked.everything("time-ticket-details", _TICKET, "ticketDate"),
        }

    def parse(self, page: Mapping[str, Rows]) -> list[Mapping[str, object]]:
        """One row a step; it has ended when it is finished and so is every ticket."""
        tickets: dict[tuple[Any, Any], list[tuple[str | None, str | None]]] = {}
        for ticket in page["tickets"]:
            tickets.setdefault((ticket.get("jobNumber"), ticket.get("stepNumber")), []).append(_span(ticket))
        told: list[Mapping[str, object]] = []
        for step in page["steps"]:
            machine = self._machine(step)
            if machine is None:
                continue
            worked = tickets.get((step.get("jobNumber"), step.get("stepNumber")), [])
            begins = [begin for begin, _ in worked if begin is not None]
            ends = [end for _, end in worked if end is not None]
            status = _known(_STEP_STATUS, step.get("status"))
            over = status == "closed" and ends and len(ends) == len(worked)
            told.append({
                "work_order": step.get("jobNumber"), "operation": step.get("stepNumber"),
                "part_number": step.get("partNumber"), "machine_id": machine,
                "order_qty": step.get("estimatedQuantity"), "completed_qty": step.get("actualPiecesGood"),
                "scrap_qty": step.get("actualPiecesScrap"), "status": status,
                "started_at": min(begins, default=None), "ended_at": max(ends) if over else None,
                "source_modified_at": step.get("lastModDate"),
            })  # fmt: skip
        return told


class Bookings(_Resource):
    """Time tickets on machines of ours as entries; scrap with a reason as `scrap` besides."""

    resource = "bookings"
    dataset: Literal["operator_entries"] = "operator_entries"
    reach = _REACH

    def pages(self, since: dt.datetime | None) -> Iterable[dict[str, Rows]]:
        """One page: a ticket does not say which part its step makes."""
        begins = dt.datetime.now(dt.UTC) - _REACH
        yield {
            "steps": self._asked.everything("order-routings", "uniqueID,jobNumber,stepNumber,partNumber,lastModDate"),
            "tickets": [
                ticket for page in self._asked.pages("time-ticket-details", _TICKET, ("ticketDate", begins))
                for ticket in page
            ],
        }  # fmt: skip

    def parse(self, page: Mapping[str, Rows]) -> list[Mapping[str, object]]:
        """Entries of tickets that are over and say when."""
        parts = {(step.get("jobNumber"), step.get("stepNumber")): step.get("partNumber") for step in page["steps"]}
        told: list[Mapping[str, object]] = []
        for ticket in page["tickets"]:
            machine, (begins, ends) = self._machine(ticket), _span(ticket)
            if machine is None or not ticket.get("timeEnd"):
                continue
            key = entry_key(ticket.get("uniqueID"))
            said = {
                "machine_id": machine, "starts_at": begins, "ends_at": ends, "entered_at": ends,
                "part_number": parts.get((ticket.get("jobNumber"), ticket.get("stepNumber"))),
                "work_order": ticket.get("jobNumber"), "entered_by": ticket.get("employeeCode"),
            }  # fmt: skip
            scrap, reason = ticket.get("piecesScrapped"), ticket.get("reasonNumber")
            told.append(said | {
                "source_key": key, "kind": "production", "quantity": ticket.get("piecesFinished"),
                "reject_quantity": scrap,
            })  # fmt: skip
            if reason and isinstance(scrap, int | Decimal) and scrap > 0:
                told.append(said | {
                    "source_key": f"{key}/scrap", "kind": "scrap", "quantity": scrap, "scrap_reason": reason,
                })  # fmt: skip
        return told


class Standards(_Resource):
    """The cycle time of a step on a machine of ours, as the part's ideal cycle there since the step began."""

    resource = "standards"
    dataset: Literal["ideal_cycles"] = "ideal_cycles"

    def pages(self, since: dt.datetime | None) -> Iterable[Rows]:
        """One page of everything: which standard holds when is seen from all steps together."""
        yield self._asked.everything(
            "order-routings",
            "uniqueID,jobNumber,stepNumber,partNumber,workCenter,cycleTime,cycleUnit,actualStartDate,"
            "estimatedStartDate,lastModDate",
        )

    def parse(self, page: Rows) -> list[Mapping[str, object]]:
        """One row where a cycle time begins to be another; one in a unit nobody described is passed on and refused."""
        standards = StandardTimes()
        unknown: list[Mapping[str, object]] = []
        for step in page:
            machine, cycle = self._machine(step), step.get("cycleTime")
            if machine is None or cycle in (None, 0):
                continue
            begins = step.get("actualStartDate") or step.get("estimatedStartDate")
            unit_ms = _UNIT_MS.get(str(step.get("cycleUnit") or "").strip().lower())
            if isinstance(cycle, int | Decimal) and unit_ms is not None:
                standards.add(step.get("partNumber"), machine, begins, step.get("jobNumber"), cycle * unit_ms)
            else:
                said = f"{cycle} {step.get('cycleUnit') or 'of no unit'}"
                unknown.append({
                    "part_number": step.get("partNumber"), "machine_id": machine, "since": begins,
                    "ideal_cycle_time_ms": said,
                })  # fmt: skip
        return [*standards.rows(), *unknown]


_TICKET = (
    "uniqueID,ticketDate,employeeCode,jobNumber,stepNumber,workCenter,timeStart,timeEnd,piecesFinished,piecesScrapped,"
    "reasonNumber"
)


def _span(ticket: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Start and end as wall times; an end before the start is of the next day. None where it cannot be read."""
    begins, ends = (_wall(ticket.get("ticketDate"), ticket.get(name)) for name in ("timeStart", "timeEnd"))
    if begins is not None and ends is not None and ends < begins:
        ends += dt.timedelta(days=1)
    return None if begins is None else begins.isoformat(), None if ends is None else ends.isoformat()


def _wall(date: object, clock: object) -> dt.datetime | None:
    try:
        return dt.datetime.combine(dt.date.fromisoformat(str(date)[:10]), dt.time.fromisoformat(str(clock).strip()))
    except ValueError:
        return None


def _known(statuses: Mapping[str, str], said: object) -> object:
    """A status in our words; one nobody described is passed on and refused by name."""
    return statuses.get(str(said).strip().lower(), said)
