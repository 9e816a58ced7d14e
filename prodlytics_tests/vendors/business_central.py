"""A small Business Central: token endpoint, analytics API and API v2.0, in pages.

Belongs here: what Microsoft documents: OAuth 2.0 client credentials, `value` and `@odata.nextLink`, names with encoded
blanks, empty dates as year 1. Does not belong here: our code.
By hand: `python -m prodlytics_tests.vendors.business_central`.
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

TENANT, COMPANY = "contoso", "5f1e7b9c-0d3a-4a57-9b6e-2f4f6f0c1a11"
CLIENT, SECRET = "11111111-aaaa", "what-only-the-client-knows"
PAGE = 2


def order(no: str, status: str = "Released", due: str = "2026-12-01", description: str = "Bracket") -> dict[str, Any]:
    return {"status": status, "no": no, "description": description, "dueDate": due}


def line(no: str, number: int, item: str, quantity: Any, finished: Any, status: str = "Released") -> dict[str, Any]:
    return {"prodOrderStatus": status, "prodOrderNo": no, "prodOrderLineNo": number, "itemNo": item,
            "quantityBase": quantity, "finishedQtyBase": finished, "routingReferenceNo": number}  # fmt: skip


def booking(
    entry: int, no: str, number: int, center: str, scrap: Any, kind: str = "Machine_x0020_Center"
) -> dict[str, Any]:
    return {"entryNo": entry, "orderNo": no, "orderLineNo": number, "type": kind, "no": center, "scrapQuantity": scrap}


def item(number: str, cost: Any, modified: str = "2026-11-02T09:13:22.437Z") -> dict[str, Any]:
    return {"number": number, "unitCost": cost, "lastModifiedDateTime": modified, "baseUnitOfMeasureCode": "PCS"}


def routing(
    no: str, operation: str, center: str, run: Any, starts: str, kind: str = "Machine Center"
) -> dict[str, Any]:
    return {"prodOrderNo": no, "routingReferenceNo": 10000, "operationNo": operation, "type": kind, "no": center,
            "runTime": run, "startingDateTime": starts}  # fmt: skip


@dataclass
class BusinessCentral:
    """What the company has; `lists` by name of the entity set."""

    lists: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    tokens_given: int = 0
    valid: str = ""
    repeats: bool = False
    "Whether the second page says that it is followed by itself."

    def expire(self) -> None:
        """No token given so far is good any more."""
        self.valid = ""

    def app(self) -> Starlette:
        """The company as an application."""
        base = f"/v2.0/{TENANT}/production/api/{{api:path}}/companies({COMPANY})/{{name}}"
        return Starlette(
            routes=[Route(f"/{TENANT}/oauth2/v2.0/token", self._token, methods=["POST"]), Route(base, self._list)]
        )

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        asked = (form.get("grant_type"), form.get("client_id"), form.get("scope"))
        if asked != ("client_credentials", CLIENT, "https://api.businesscentral.dynamics.com/.default"):
            return JSONResponse({"error": "invalid_request"}, 400)
        if form.get("client_secret") != SECRET:
            return JSONResponse({"error": "invalid_client", "error_description": "AADSTS7000215"}, 401)
        self.tokens_given += 1
        self.valid = f"token-{self.tokens_given}"
        return JSONResponse({"token_type": "Bearer", "expires_in": 3599, "access_token": self.valid})

    async def _list(self, request: Request) -> Response:
        if not self.valid or request.headers.get("Authorization") != f"Bearer {self.valid}":
            return JSONResponse({"error": {"code": "Authentication_InvalidCredentials"}}, 401)
        name = request.path_params["name"]
        if (request.path_params["api"] == "v2.0") != (name == "items") or name not in self.lists:
            return JSONResponse({"error": {"code": "BadRequest_NotFound", "message": f"No {name}"}}, 404)
        skip = int(request.query_params.get("$skiptoken", "0"))
        wanted = set(request.query_params.get("$select", "").split(","))
        records = [
            {key: said for key, said in record.items() if key in wanted or skip}
            for record in self.lists[name][skip : skip + PAGE]
        ]
        answer: dict[str, Any] = {"@odata.context": "$metadata", "value": records}
        if skip + PAGE < len(self.lists[name]):
            following = skip if self.repeats and skip else skip + PAGE
            answer["@odata.nextLink"] = str(request.url.replace(query=f"$skiptoken={following}"))
        return Response(json.dumps(answer).replace('"MONEY"', "12345678901234567.25"), media_type="application/json")


if __name__ == "__main__":
    example = BusinessCentral({
        "manufacturingProductionOrders": [order("101001")],
        "manufacturingProdOrderLines": [line("101001", 10000, "P-100", 500, 120)],
        "capacityLedgerEntries": [booking(1, "101001", 10000, "PRESS01", 3)], "items": [item("P-100", 4.2)],
    })  # fmt: skip
    with serving(example.app(), Mishaps()) as url:
        input(f"{url}/v2.0, tenant {TENANT}, company {COMPANY}, client {CLIENT}, secret {SECRET}; Enter ends it\n")
