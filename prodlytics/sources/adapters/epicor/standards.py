"""How long a part should take on a machine, and what its material costs, as Kinetic says.

Belongs here: production standards of operations, part costs, and the arithmetic of their units.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Literal

from prodlytics.sources.adapters.epicor.asked import Resource, Rows, quoted
from prodlytics.sources.standard_times import StandardTimes

#: Which cost an option means, and its field.
COSTS = {"average": "AvgMaterialCost", "standard": "StdMaterialCost", "last": "LastMaterialCost"}
_HOUR_MS = Decimal(3_600_000)
#: Pieces that a time per piece stands for.
_BASIS = {"E": 1, "C": 100, "M": 1_000, "T": 10_000}
_JOB = "JobNum,PartNum,StartDate"
_STANDARD = "JobNum,AssemblySeq,OprSeq,OpDtlSeq,ResourceID,ResourceGrpID,ProdStandard,StdFormat,StdBasis,OpsPerPart"


class Standards(Resource):
    """The standard of a job's operation on a machine of ours, as the part's ideal cycle there since the job began."""

    resource = "standards"
    dataset: Literal["ideal_cycles"] = "ideal_cycles"

    def pages(self, since: dt.datetime | None) -> Iterable[Mapping[str, Rows]]:
        """One page of everything: which standard holds when is seen from all jobs together."""
        yield {
            "jobs": self._asked.everything("Erp.BO.JobEntrySvc/JobEntries", _JOB, "JobNum", self._asked.of_site()),
            "details": self._asked.everything(
                "Erp.BO.JobEntrySvc/JobOpDtls", _STANDARD, "JobNum,AssemblySeq,OprSeq,OpDtlSeq", "AssemblySeq eq 0"
            ),
        }

    def parse(self, page: Mapping[str, Rows]) -> list[Mapping[str, object]]:
        """One row where the standard begins to be another. A job that was not scheduled has no day to begin on."""
        jobs = {job.get("JobNum"): job for job in page["jobs"]}
        standards = StandardTimes()
        for detail in page["details"]:
            job = jobs.get(detail.get("JobNum"))
            machine = self._asked.machine(detail.get("ResourceID"), detail.get("ResourceGrpID"))
            if job is not None and machine is not None:
                standards.add(job.get("PartNum"), machine, job.get("StartDate"), job["JobNum"], cycle_ms(detail))
        return standards.rows()


class PartCosts(Resource):
    """The material cost of parts in one set of costs. It carries no date."""

    resource = "part_costs"
    dataset: Literal["part_costs"] = "part_costs"

    def pages(self, since: dt.datetime | None) -> Iterable[Rows]:
        """All costs by part."""
        only = f"CostID eq {quoted(self._asked.options['cost_id'])}"
        return self._asked.pages("Erp.BO.PartSvc/PartCosts", f"PartNum,CostID,{self._field}", "PartNum,CostID", only)

    def parse(self, page: Rows) -> list[Mapping[str, object]]:
        """One row a part. A cost of nothing is one nobody has entered."""
        return [
            {"part_number": row.get("PartNum"), "material_cost_per_unit": row.get(self._field)}
            for row in page
            if row.get(self._field) != 0
        ]

    @property
    def _field(self) -> str:
        return COSTS[self._asked.options["cost"]]


def cycle_ms(detail: Mapping[str, Any]) -> Decimal | None:
    """Milliseconds a piece from a production standard; None for a fixed time, no standard, or a unit nobody documents.

    Hours (HP) or minutes (MP) per `StdBasis` pieces; pieces per hour (PH) or minute (PM); operations per hour (OH) or
    minute (OM), of which a part takes `OpsPerPart`.
    """
    standard, form = detail.get("ProdStandard"), str(detail.get("StdFormat"))
    if not isinstance(standard, int | Decimal) or standard <= 0:
        return None
    unit_ms = _HOUR_MS if form[:1] == "H" or form[1:] == "H" else _HOUR_MS / 60
    if form in ("HP", "MP"):
        basis = _BASIS.get(str(detail.get("StdBasis")))
        return None if basis is None else unit_ms * standard / basis
    if form in ("PH", "PM"):
        return unit_ms / standard
    each = detail.get("OpsPerPart")
    if form in ("OH", "OM") and isinstance(each, int | Decimal) and each > 0:
        return unit_ms * each / standard
    return None
