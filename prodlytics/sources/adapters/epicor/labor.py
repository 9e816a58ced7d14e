"""What people booked on operations in Kinetic: pieces, scrap with its reason, from when to when.

Belongs here: rows of `LaborDtl`. A running booking and indirect or setup time are none. Pieces put aside for inspection
(`DiscrepQty`) were not right at first pass: they are rework here, whatever becomes of them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Literal

from prodlytics.sources.adapters.epicor.asked import Resource, Rows, not_before, wall_time
from prodlytics.sources.changed_there import entry_key

BOOKED = (
    "LaborHedSeq,LaborDtlSeq,EmployeeNum,LaborType,ActiveTrans,ClockInDate,ClockinTime,ClockOutTime,JobNum,AssemblySeq,"
    "OprSeq,LaborQty,ScrapQty,ScrapReasonCode,DiscrepQty,ResourceID,ResourceGrpID"
)
#: How far back a pass reaches, and so until when a correction is noticed.
REACH = dt.timedelta(days=14)


class Bookings(Resource):
    """Bookings on machines of ours as entries of kind `production`; scrap with a reason as `scrap` besides."""

    resource = "bookings"
    dataset: Literal["operator_entries"] = "operator_entries"
    reach = REACH

    def pages(self, since: dt.datetime | None) -> Iterable[Mapping[str, Rows]]:
        """One page: a booking does not say which part its job makes."""
        begins = dt.datetime.now(dt.UTC).date() - REACH
        yield {
            "jobs": self._asked.everything(
                "Erp.BO.JobEntrySvc/JobEntries", "JobNum,PartNum", "JobNum", self._asked.of_site()
            ),
            "bookings": self._asked.everything(
                "Erp.BO.LaborSvc/LaborDtls", BOOKED, "LaborHedSeq,LaborDtlSeq", not_before("ClockInDate", begins)
            ),
        }

    def parse(self, page: Mapping[str, Rows]) -> list[Mapping[str, object]]:
        """Entries of bookings that are over. Those of assemblies of a job are of another part, which nobody says."""
        parts = {job.get("JobNum"): job.get("PartNum") for job in page["jobs"]}
        told: list[Mapping[str, object]] = []
        for row in page["bookings"]:
            machine = self._asked.machine(row.get("ResourceID"), row.get("ResourceGrpID"))
            if machine is None or not is_production(row) or row.get("ActiveTrans") is not False:
                continue
            if row.get("JobNum") not in parts:
                continue
            told += _entries(row, machine, parts[row["JobNum"]] if row.get("AssemblySeq") == 0 else None)
        return told


def is_production(row: Mapping[str, Any]) -> bool:
    """Whether pieces were made, other than setup and indirect time."""
    return row.get("LaborType") == "P"


def started(row: Mapping[str, Any]) -> str | None:
    """When work began, as a wall time; None where it cannot be read."""
    return wall_time(row.get("ClockInDate"), row.get("ClockinTime"))


def ended(row: Mapping[str, Any]) -> str | None:
    """When work ended: a clock-out before the clock-in was on the next day. None while it lasts."""
    begins, at = started(row), wall_time(row.get("ClockInDate"), row.get("ClockOutTime"))
    if row.get("ActiveTrans") is not False or begins is None or at is None:
        return None
    if at >= begins:
        return at
    return (dt.datetime.fromisoformat(at) + dt.timedelta(days=1)).isoformat()


def _entries(row: Mapping[str, Any], machine: str, part: object) -> list[Mapping[str, object]]:
    key = entry_key(row.get("LaborHedSeq"), row.get("LaborDtlSeq"))
    said = {
        "machine_id": machine,
        "starts_at": started(row),
        "ends_at": ended(row),
        "part_number": part,
        "work_order": row.get("JobNum"),
        "entered_by": row.get("EmployeeNum"),
        "entered_at": ended(row),
    }
    booked = {
        "source_key": key, "kind": "production", "quantity": row.get("LaborQty"),
        "reject_quantity": row.get("ScrapQty"), "rework_quantity": row.get("DiscrepQty"),
    }  # fmt: skip
    scrap, reason = row.get("ScrapQty"), row.get("ScrapReasonCode")
    if not reason or not isinstance(scrap, int | Decimal) or scrap == 0:
        return [said | booked]
    return [
        said | booked,
        said | {"source_key": f"{key}/scrap", "kind": "scrap", "quantity": scrap, "scrap_reason": reason},
    ]
