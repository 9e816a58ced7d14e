"""Epicor Kinetic, REST v2: jobs.

Belongs here: its words and addresses. Does not belong here: pages (`odata.py`). Its day-level `ChangeDate` is no time
of change we could ask from, so that every pass reads the jobs whole. Scrap and cost do not stand on a job there: they
stay empty.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from prodlytics.sources import odata
from prodlytics.sources.ask import ask, session
from prodlytics.sources.connections import ConnectionSetupError
from prodlytics.sources.connectors import ReadWhole

if TYPE_CHECKING:
    import requests

    from prodlytics.plant.connection import Connection
    from prodlytics.plant.model import Plant

OPTIONS: Mapping[str, str | None] = {"company": None, "site": "", "page_size": "500"}
SECRETS = ("api_key", "user", "password")

_FIELDS = "JobNum,PartNum,PartDescription,JobClosed,JobComplete,ProdQty,QtyCompleted,DueDate"


def adapters(
    connection: Connection, options: Mapping[str, str], secrets: Mapping[str, str], plant: Plant
) -> Sequence[Jobs]:
    """The jobs of one company, or of one of its sites."""
    if not options["page_size"].isdecimal() or not int(options["page_size"]):
        raise ConnectionSetupError(f"Connection {connection.name}: page_size is a number of records, e.g. 500.")
    # Without the key Kinetic refuses a user it knows.
    over = session({"x-api-key": secrets["api_key"]}, ca_file=connection.ca_file)
    over.auth = (secrets["user"], secrets["password"])
    return (Jobs(connection, options, over),)


class Jobs(ReadWhole):
    """Jobs as `JobEntrySvc` gives them: one row a job, without its operations."""

    resource = "jobs"
    dataset: Literal["work_orders"] = "work_orders"

    def __init__(self, connection: Connection, options: Mapping[str, str], over: requests.Session) -> None:
        super().__init__(connection)
        self._over, self._size, self._site = over, int(options["page_size"]), options["site"]
        self._url = f"{connection.url.rstrip('/')}/api/v2/odata/{options['company']}/Erp.BO.JobEntrySvc/JobEntries"

    def pages(self, since: dt.datetime | None) -> Iterable[list[dict[str, Any]]]:
        """All jobs by number."""
        # A quote in a site's name is written twice in OData.
        site = self._site.replace("'", "''")
        only = {"filter": f"Plant eq '{site}'"} if site else {}
        asked = partial(ask, self._over)
        return odata.by_skip(asked, self._url, self._size, select=_FIELDS, orderby="JobNum", **only)

    def parse(self, page: list[dict[str, Any]]) -> list[Mapping[str, object]]:
        """One row a job. Closed is what is closed, and what is complete: nothing more is made on it."""
        return [
            {
                "work_order": job.get("JobNum"),
                "part_number": job.get("PartNum"),
                "part_description": job.get("PartDescription") or None,
                "order_qty": job.get("ProdQty"),
                "completed_qty": job.get("QtyCompleted"),
                # Midnight with the server's offset or without: it is a date either way.
                "due_date": job.get("DueDate"),
                "status": _status(job),
            }
            for job in page
        ]


def _status(job: Mapping[str, Any]) -> str | None:
    over = [job.get("JobClosed"), job.get("JobComplete")]
    if not all(isinstance(said, bool) for said in over):
        return None
    return "closed" if any(over) else "open"
