"""Asking Kinetic, and what its resources have in common.

Belongs here: addresses, pages, machines and wall times. Does not belong here: one resource. Its `ChangeDate` is a day
and no time of change we could ask from, so that every pass reads whole what it reads.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from prodlytics.sources import odata
from prodlytics.sources.ask import ask
from prodlytics.sources.connectors import ReadWhole

if TYPE_CHECKING:
    import requests

    from prodlytics.plant.connection import Connection

Rows = list[dict[str, Any]]
#: Orders being worked on when the plant began are known from their beginning if it was not longer ago than this.
BEFORE = dt.timedelta(days=90)


@dataclass(frozen=True)
class Asked:
    """How one company is asked."""

    connection: Connection
    options: Mapping[str, str]
    over: requests.Session
    machines: Mapping[str, str]
    "Their resources to our machines."
    earliest: dt.date
    "Bookings before this are not asked for."

    def pages(self, entities: str, select: str, order: str, only: str = "") -> Iterator[Rows]:
        """The records of a list in a stable order.

        Args:
            entities: Path below the company.
            select: Fields.
            order: Fields that tell records apart.
            only: OData filter; empty for all.
        """
        url = f"{self.connection.url.rstrip('/')}/api/v2/odata/{self.options['company']}/{entities}"
        said = {"select": select, "orderby": order, **({"filter": only} if only else {})}
        return odata.by_skip(partial(ask, self.over), url, int(self.options["page_size"]), **said)

    def everything(self, entities: str, select: str, order: str, only: str = "") -> Rows:
        """The same as one list."""
        return [record for page in self.pages(entities, select, order, only) for record in page]

    def of_site(self) -> str:
        """The filter for jobs of the site; empty for the whole company."""
        return f"Plant eq {quoted(self.options['site'])}" if self.options["site"] else ""

    def machine(self, *resources: object) -> str | None:
        """The first of their resources that is a machine of ours; benches and groups are none."""
        return next((self.machines[one] for one in resources if isinstance(one, str) and one in self.machines), None)


class Resource(ReadWhole):
    """What the resources have in common."""

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked.connection)
        self._asked = asked


def not_before(field: str, day: dt.date) -> str:
    """The filter for days from this one on. Theirs are midnights: east of Greenwich they lie on the day before."""
    return f"{field} ge {(day - dt.timedelta(days=1)).isoformat()}T00:00:00Z"


def quoted(text: str) -> str:
    """A text in an OData filter: a quote in it is written twice."""
    return "'" + text.replace("'", "''") + "'"


def wall_time(date: object, hours: object) -> str | None:
    """A wall time from a date (with or without midnight and an offset) and hours.hundredths; None where it is neither.

    24.00 is midnight of the next day. The zone is that of the plant.
    """
    if not isinstance(date, str) or not isinstance(hours, int | Decimal) or not 0 <= hours <= 24:
        return None
    try:
        day = dt.date.fromisoformat(date[:10])
    except ValueError:
        return None
    midnight = dt.datetime.combine(day, dt.time())
    return (midnight + dt.timedelta(seconds=round(hours * 3600))).isoformat()
