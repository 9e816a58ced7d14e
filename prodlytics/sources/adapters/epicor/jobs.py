"""Jobs of Kinetic and their operations.

Belongs here: orders as `JobEntrySvc` gives them. Does not belong here: what people booked (`labor.py`), how long a part
should take (`standards.py`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Literal

from prodlytics.sources.adapters.epicor.asked import Resource, Rows, not_before
from prodlytics.sources.adapters.epicor.labor import BOOKED, ended, is_production, started

_JOB = "JobNum,PartNum,PartDescription,JobClosed,JobComplete,ProdQty,QtyCompleted,IUM,DueDate"
_OPERATION = "JobNum,AssemblySeq,OprSeq,RunQty,QtyCompleted,OpComplete"
_DETAIL = "JobNum,AssemblySeq,OprSeq,OpDtlSeq,ResourceID,ResourceGrpID"


class Jobs(Resource):
    """One row a job, without machine: scrap and cost do not stand on a job there, so they stay empty."""

    resource = "jobs"
    dataset: Literal["work_orders"] = "work_orders"

    def pages(self, since: dt.datetime | None) -> Iterable[Rows]:
        """All jobs by number."""
        return self._asked.pages("Erp.BO.JobEntrySvc/JobEntries", _JOB, "JobNum", self._asked.of_site())

    def parse(self, page: Rows) -> list[Mapping[str, object]]:
        """One row a job."""
        return [
            {
                "work_order": job.get("JobNum"),
                "part_number": job.get("PartNum"),
                "part_description": job.get("PartDescription") or None,
                "order_qty": job.get("ProdQty"),
                "completed_qty": job.get("QtyCompleted"),
                "order_unit": job.get("IUM") or None,
                "due_date": job.get("DueDate"),
                "status": _status(job),
            }
            for job in page
        ]


class Operations(Resource):
    """One row for each operation on a machine of ours: what it made and threw away there, and from when to when.

    Of an assembly with parts of its own only the job's part (assembly 0) is taken: the others are other parts.
    """

    resource = "operations"
    dataset: Literal["work_orders"] = "work_orders"

    def pages(self, since: dt.datetime | None) -> Iterable[Mapping[str, Rows]]:
        """One page of everything: an operation needs its job, its resources and what was booked on it."""
        of_job = "AssemblySeq eq 0"
        yield {
            "jobs": self._asked.everything("Erp.BO.JobEntrySvc/JobEntries", _JOB, "JobNum", self._asked.of_site()),
            "operations": self._asked.everything(
                "Erp.BO.JobEntrySvc/JobOpers", _OPERATION, "JobNum,AssemblySeq,OprSeq", of_job
            ),
            "details": self._asked.everything(
                "Erp.BO.JobEntrySvc/JobOpDtls", _DETAIL, "JobNum,AssemblySeq,OprSeq,OpDtlSeq", of_job
            ),
            "bookings": self._asked.everything(
                "Erp.BO.LaborSvc/LaborDtls", BOOKED, "LaborHedSeq,LaborDtlSeq",
                f"{of_job} and {not_before('ClockInDate', self._asked.earliest)}",
            ),
        }  # fmt: skip

    def parse(self, page: Mapping[str, Rows]) -> list[Mapping[str, object]]:
        """One row an operation that has a machine of ours; where people booked on another one, that one counts."""
        jobs = {job.get("JobNum"): job for job in page["jobs"]}
        planned, booked = _by_operation(page["details"]), _by_operation(page["bookings"])
        told: list[Mapping[str, object]] = []
        for operation in page["operations"]:
            key = (operation.get("JobNum"), operation.get("OprSeq"))
            # Of another site, or deleted between two questions.
            if key[0] not in jobs:
                continue
            bookings = [one for one in booked.get(key, []) if is_production(one)]
            machine = self._machine(bookings) or self._machine(planned.get(key, []))
            if machine is not None:
                told.append(_told(jobs[key[0]], operation, bookings, machine))
        return told

    def _machine(self, rows: Rows) -> str | None:
        """The one machine of ours in rows of an operation; one made on several is no one machine's."""
        ours = {self._asked.machine(row.get("ResourceID"), row.get("ResourceGrpID")) for row in rows} - {None}
        return ours.pop() if len(ours) == 1 else None


def _told(job: Mapping[str, Any], operation: Mapping[str, Any], bookings: Rows, machine: str) -> Mapping[str, object]:
    over = operation.get("OpComplete")
    status = _status(job)
    if status == "open" and over is True:
        status = "closed"
    known = [at for one in bookings if (at := ended(one)) is not None]
    return {
        "work_order": job.get("JobNum"),
        "operation": operation.get("OprSeq"),
        "part_number": job.get("PartNum"),
        "part_description": job.get("PartDescription") or None,
        "machine_id": machine,
        "order_qty": operation.get("RunQty"),
        "completed_qty": operation.get("QtyCompleted"),
        # What nobody booked is not known to be without scrap.
        "scrap_qty": _scrap(bookings),
        "order_unit": job.get("IUM") or None,
        "due_date": job.get("DueDate"),
        "status": status if isinstance(over, bool) else None,
        # Wall times of one zone: their order is that of their texts.
        "started_at": min((at for one in bookings if (at := started(one)) is not None), default=None),
        "ended_at": max(known, default=None) if status == "closed" and len(known) == len(bookings) else None,
    }  # fmt: skip


def _scrap(bookings: Rows) -> Decimal | None:
    said = [one.get("ScrapQty") for one in bookings]
    known = [quantity for quantity in said if isinstance(quantity, int | Decimal)]
    return sum(map(Decimal, known), Decimal(0)) if said and len(known) == len(said) else None


def _by_operation(rows: Rows) -> dict[tuple[Any, Any], Rows]:
    found: dict[tuple[Any, Any], Rows] = {}
    for row in rows:
        found.setdefault((row.get("JobNum"), row.get("OprSeq")), []).append(row)
    return found


def _status(job: Mapping[str, Any]) -> str | None:
    """Closed is what is closed, and what is complete: nothing more is made on it."""
    over = [job.get("JobClosed"), job.get("JobComplete")]
    if not all(isinstance(said, bool) for said in over):
        return None
    return "closed" if any(over) else "open"
