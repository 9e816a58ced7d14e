"""A small Epicor Kinetic: jobs, operations, labor, costs and queries of one company over REST v2.

Belongs here: what is documented: the key beside the login, OData with `$top` and `$skip`, due dates at midnight with
the server's offset. Does not belong here: our code. By hand: `python -m prodlytics_tests.vendors.epicor`.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from prodlytics_tests.vendors.serving import Mishaps, serving

COMPANY, KEY, USER, PASSWORD = "EPIC06", "the-key-of-the-company", "prodlytics", "read-only-password"


def job(number: str, **said: Any) -> dict[str, Any]:
    return {"Company": COMPANY, "JobNum": number, "PartNum": "P-100", "PartDescription": "Bracket", "JobReleased": True,
            "JobClosed": False, "JobComplete": False, "JobHeld": False, "ProdQty": 500.0, "QtyCompleted": 120.0,
            "IUM": "EA", "StartDate": None, "DueDate": "2019-10-02T00:00:00-05:00", "Plant": "MfgSys",
            **said}  # fmt: skip


def operation(job_number: str, sequence: int, **said: Any) -> dict[str, Any]:
    return {"JobNum": job_number, "AssemblySeq": 0, "OprSeq": sequence, "RunQty": 510.0, "QtyCompleted": 120.0,
            "OpComplete": False, **said}  # fmt: skip


def detail(job_number: str, sequence: int, resource: str, **said: Any) -> dict[str, Any]:
    """What an operation is planned on, and its standard."""
    return {"JobNum": job_number, "AssemblySeq": 0, "OprSeq": sequence, "OpDtlSeq": 10, "ResourceID": resource,
            "ResourceGrpID": "PRESSES", "ProdStandard": 300.0, "StdFormat": "PH", "StdBasis": "E", "OpsPerPart": 1.0,
            **said}  # fmt: skip


def booking(number: int, job_number: str, sequence: int, day: str, begins: float, ends: float, **said: Any) -> Any:
    """A row of LaborDtl, by hours and hundredths of the plant's clock."""
    return {"LaborHedSeq": 7000 + number, "LaborDtlSeq": number, "EmployeeNum": "101", "LaborType": "P",
            "ActiveTrans": False, "ClockInDate": f"{day}T00:00:00-06:00", "ClockinTime": begins, "ClockOutTime": ends,
            "JobNum": job_number, "AssemblySeq": 0, "OprSeq": sequence, "LaborQty": 60.0, "ScrapQty": 0.0,
            "ScrapReasonCode": "", "DiscrepQty": 0.0, "ResourceID": "R-1", "ResourceGrpID": "PRESSES",
            **said}  # fmt: skip


def cost(part: str, average: float | str, **said: Any) -> dict[str, Any]:
    return {"PartNum": part, "CostID": "1", "AvgMaterialCost": average, "StdMaterialCost": 9.99, **said}


_CONDITION = re.compile(r"(\w+) (eq|ge) (?:'((?:[^']|'')*)'|(\d+)|(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ))")


@dataclass
class Kinetic:
    """What the company has: rows by the list they are in."""

    jobs: list[dict[str, Any]] = field(default_factory=list)
    lists: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    "JobOpers, JobOpDtls, LaborDtls, PartCosts, and the queries by their names."
    ignores_skip: bool = False

    def app(self) -> Starlette:
        """The company as an application."""
        base = f"/kinetic/api/v2/odata/{COMPANY}"
        return Starlette(routes=[
            *(Route(f"{base}/Erp.BO.JobEntrySvc/{{name}}", self._list, methods=["GET"]),),
            Route(f"{base}/Erp.BO.LaborSvc/{{name}}", self._list, methods=["GET"]),
            Route(f"{base}/Erp.BO.PartSvc/{{name}}", self._list, methods=["GET"]),
            Route(f"{base}/BaqSvc/{{name}}/Data", self._list, methods=["GET"]),
        ])  # fmt: skip

    async def _list(self, request: Request) -> Response:
        login = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if (request.headers.get("x-api-key"), request.headers.get("Authorization")) != (KEY, login):
            return JSONResponse({"HttpStatus": 401, "ReasonPhrase": "REST API Exception"}, 401)
        name = request.path_params["name"]
        if name != "JobEntries" and name not in self.lists:
            return JSONResponse({"HttpStatus": 404, "ErrorMessage": f"{name} not found"}, 404)
        asked = request.query_params
        wanted = asked.get("$select", "").split(",")
        order = asked.get("$orderby", "").split(",")
        found = [row for row in (self.jobs if name == "JobEntries" else self.lists[name])
                 if _fits(row, asked.get("$filter", ""))]  # fmt: skip
        found.sort(key=lambda row: [str(row.get(one)).zfill(12) for one in order])
        skip = 0 if self.ignores_skip else int(asked["$skip"])
        page = [{name: row[name] for name in wanted if name in row} for row in found[skip : skip + int(asked["$top"])]]
        return Response(
            json.dumps({"@odata.context": f"$metadata#{name}", "value": page}), media_type="application/json"
        )


def _fits(row: dict[str, Any], said: str) -> bool:
    for condition in filter(None, said.split(" and ")):
        match = _CONDITION.fullmatch(condition)
        assert match is not None, condition
        name, operator, text, number, instant = match.groups()
        if operator == "ge":
            if dt.datetime.fromisoformat(row[name]) < dt.datetime.fromisoformat(instant):
                return False
        elif row[name] != (int(number) if number else text.replace("''", "'")):
            return False
    return True


def a_company(*jobs: dict[str, Any], **lists: list[dict[str, Any]]) -> Kinetic:
    """A company with these jobs, and nothing where nothing is said."""
    nothing: dict[str, list[dict[str, Any]]] = {"JobOpers": [], "JobOpDtls": [], "LaborDtls": [], "PartCosts": []}
    return Kinetic(list(jobs), nothing | lists)


if __name__ == "__main__":
    with serving(a_company(job("000001")).app(), Mishaps()) as url:
        input(f"{url}/kinetic, company {COMPANY}, key {KEY}, user {USER}, password {PASSWORD}; Enter ends it\n")
