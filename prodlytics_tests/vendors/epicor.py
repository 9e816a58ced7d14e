"""A small Epicor Kinetic: the jobs of one company over REST v2.

Belongs here: what is documented: the key beside the login, OData with `$top` and `$skip`, due dates at midnight with
the server's offset. Does not belong here: our code. By hand: `python -m prodlytics_tests.vendors.epicor`.
"""

from __future__ import annotations

import base64
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
            "IUM": "EA", "DueDate": "2019-10-02T00:00:00-05:00", "Plant": "MfgSys", **said}  # fmt: skip


@dataclass
class Kinetic:
    """What the company has."""

    jobs: list[dict[str, Any]] = field(default_factory=list)
    ignores_skip: bool = False

    def app(self) -> Starlette:
        """The company as an application."""
        return Starlette(routes=[Route(f"/kinetic/api/v2/odata/{COMPANY}/Erp.BO.JobEntrySvc/JobEntries", self._jobs)])

    async def _jobs(self, request: Request) -> Response:
        login = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if (request.headers.get("x-api-key"), request.headers.get("Authorization")) != (KEY, login):
            return JSONResponse({"HttpStatus": 401, "ReasonPhrase": "REST API Exception"}, 401)
        asked = request.query_params
        wanted = asked.get("$select", "").split(",")
        found = sorted(self.jobs, key=lambda job: str(job.get(asked.get("$orderby", ""))))
        if asked.get("$filter"):
            match = re.fullmatch(r"Plant eq '((?:[^']|'')*)'", asked["$filter"])
            assert match is not None, asked["$filter"]
            found = [job for job in found if job["Plant"] == match[1].replace("''", "'")]
        skip = 0 if self.ignores_skip else int(asked["$skip"])
        page = [{name: job[name] for name in wanted if name in job} for job in found[skip : skip + int(asked["$top"])]]
        return Response(
            json.dumps({"@odata.context": "$metadata#JobEntries", "value": page}), media_type="application/json"
        )


if __name__ == "__main__":
    with serving(Kinetic([job("000001")]).app(), Mishaps()) as url:
        input(f"{url}/kinetic, company {COMPANY}, key {KEY}, user {USER}, password {PASSWORD}; Enter ends it\n")
