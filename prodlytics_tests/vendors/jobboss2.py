"""A small JobBOSS²: token endpoint and lists of one company.

Belongs here: what probes of the real one found: tokens by form alone, `Data` around lists, at most 200 records a page,
filters with an operator in brackets, times of change only where they are asked for, order-routings that break without a
filter. Does not belong here: our code. By hand: `python -m prodlytics_tests.vendors.jobboss2`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from prodlytics_tests.vendors.serving import Mishaps, serving

CLIENT, SECRET = "client-of-the-plant", "what-only-the-plant-knows"
MODIFIED = "2026-11-20T08:00:00Z"


def line(job: str, **said: Any) -> dict[str, Any]:
    return {"uniqueID": int(job.partition("-")[0]), "jobNumber": job, "partNumber": "P-100",
            "partDescription": "Bracket", "quantityToMake": 500.0, "dueDate": "2026-12-01T00:00:00Z", "status": "Open",
            "jobOnHold": False, "lastModDate": MODIFIED, **said}  # fmt: skip


def step(number: int, job: str, center: str, **said: Any) -> dict[str, Any]:
    return {"uniqueID": number, "jobNumber": job, "stepNumber": 10 * number, "partNumber": "P-100",
            "workCenter": center, "estimatedQuantity": 510.0, "actualPiecesGood": 120.0, "actualPiecesScrap": 4.0,
            "status": "Current", "cycleTime": 0.2, "cycleUnit": "M", "actualStartDate": "2026-11-16T00:00:00Z",
            "estimatedStartDate": None, "lastModDate": MODIFIED, **said}  # fmt: skip


def ticket(number: int, job: str, step_number: int, day: str, begins: str, ends: str | None, **said: Any) -> Any:
    return {"uniqueID": number, "ticketDate": f"{day}T00:00:00Z", "employeeCode": 7, "jobNumber": job,
            "stepNumber": step_number, "workCenter": "PRESS1", "timeStart": begins, "timeEnd": ends,
            "piecesFinished": 60.0, "piecesScrapped": 0.0, "reasonNumber": None, **said}  # fmt: skip


@dataclass
class JobBoss:
    """What the company has, by list."""

    lists: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    tokens_given: int = 0
    valid: str = ""
    ignores_skip: bool = False

    def app(self) -> Starlette:
        """The company as an application."""
        return Starlette(routes=[
            Route("/oauth2/api-user/token", self._token, methods=["POST"]),
            Route("/api/v1/{name}", self._list, methods=["GET"]),
        ])  # fmt: skip

    async def _token(self, request: Request) -> Response:
        if request.headers.get("Content-Type") != "application/x-www-form-urlencoded":
            return JSONResponse({"Title": "Unsupported Media Type", "Status": 415}, 415)
        form = dict(parse_qsl((await request.body()).decode()))
        if form != {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET}:
            return JSONResponse({"error": "invalid_client"}, 401)
        self.tokens_given += 1
        self.valid = f"token-{self.tokens_given}"
        return JSONResponse({"access_token": self.valid, "token_type": "bearer", "expires_in": 3600})

    async def _list(self, request: Request) -> Response:
        if not self.valid or request.headers.get("Authorization") != f"Bearer {self.valid}":
            return JSONResponse({"Title": "Unauthorized", "Status": 401}, 401)
        name, asked = request.path_params["name"], request.query_params
        if name not in self.lists:
            return JSONResponse({"Title": "Not Found", "Status": 404}, 404)
        filters = {key.partition("[")[0]: value for key, value in asked.items() if key.endswith("[gte]")}
        if name == "order-routings" and not filters:
            return JSONResponse({"Title": "Internal Server Error", "Status": 500}, 500)
        found = [row for row in self.lists[name] if all(str(row.get(key) or "") >= on for key, on in filters.items())]
        found.sort(key=lambda row: int(row.get(asked.get("sort", "")) or 0))
        skip = 0 if self.ignores_skip else int(asked.get("skip", "0"))
        wanted = asked.get("fields", "").split(",")
        page = found[skip : skip + min(int(asked.get("take", "200")), 200)]
        told = [{key: value for key, value in row.items() if key in wanted} for row in page]
        return Response(json.dumps({"Data": told}), media_type="application/json")


if __name__ == "__main__":
    example = JobBoss({"order-line-items": [line("1001-01")], "order-routings": [step(1, "1001-01", "PRESS1")],
                       "time-ticket-details": []})  # fmt: skip
    with serving(example.app(), Mishaps()) as url:
        input(f"{url}/api/v1, token at {url}/oauth2/api-user/token, {CLIENT}, {SECRET}; Enter ends it\n")
