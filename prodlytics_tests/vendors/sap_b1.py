"""A small SAP Business One Service Layer: sessions by cookie, production orders and items.

Belongs here: what is documented: login, both cookies, sessions that end, pages of 20 or as `Prefer` says, relative next
links, 204 for a logout. Does not belong here: our code. By hand: `python -m prodlytics_tests.vendors.sap_b1`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from prodlytics_tests.vendors.serving import Mishaps, serving

COMPANY_DB, USER, PASSWORD = "SBODEMOUS", "prodlytics", "read-only-password"


def order(entry: int, status: str = "boposReleased", **said: Any) -> dict[str, Any]:
    return {"AbsoluteEntry": entry, "DocumentNumber": 1000 + entry, "ItemNo": "P-100", "ProductDescription": "Bracket",
            "PlannedQuantity": 500.0, "CompletedQuantity": 120.0, "RejectedQuantity": 3.0, "DueDate": "2026-12-01",
            "ProductionOrderStatus": status, "Warehouse": "01", **said}  # fmt: skip


def item(code: str, cost: Any, unit: str | None = "EA") -> dict[str, Any]:
    return {"ItemCode": code, "ItemName": "Bracket", "AvgStdPrice": cost, "InventoryUOM": unit}


@dataclass
class ServiceLayer:
    """What the company has, and who is logged in."""

    orders: list[dict[str, Any]] = field(default_factory=list)
    items: list[dict[str, Any]] = field(default_factory=list)
    version: str = "v1"
    logins: int = 0
    sessions: set[str] = field(default_factory=set)
    most: int = 1000
    "Records a page at most, whatever is preferred."

    def app(self) -> Starlette:
        """The service as an application."""
        base = f"/b1s/{self.version}"
        return Starlette(routes=[
            Route(f"{base}/Login", self._login, methods=["POST"]),
            Route(f"{base}/Logout", self._logout, methods=["POST"]),
            Route(f"{base}/{{name:str}}", self._list),
        ])  # fmt: skip

    async def _login(self, request: Request) -> Response:
        said = await request.json()
        if said != {"CompanyDB": COMPANY_DB, "UserName": USER, "Password": PASSWORD}:
            return _refused(100000027, "Login failed")
        self.logins += 1
        session = f"session-{self.logins}"
        self.sessions.add(session)
        answer = JSONResponse({"SessionId": session, "Version": "1000190", "SessionTimeout": 30})
        answer.set_cookie("B1SESSION", session, httponly=True)
        answer.set_cookie("ROUTEID", ".node1")
        return answer

    def _knows(self, request: Request) -> bool:
        return request.cookies.get("B1SESSION") in self.sessions and request.cookies.get("ROUTEID") == ".node1"

    async def _logout(self, request: Request) -> Response:
        self.sessions.discard(request.cookies.get("B1SESSION", ""))
        return Response(status_code=204)

    async def _list(self, request: Request) -> Response:
        if not self._knows(request):
            return _refused(301, "Invalid session or session already timeout.")
        entities = request.path_params["name"]
        rows = {"ProductionOrders": self.orders, "Items": self.items}[entities]
        preferred = request.headers.get("Prefer", "odata.maxpagesize=20").partition("=")[2]
        size, skip = min(int(preferred), self.most), int(request.query_params.get("$skip", "0"))
        wanted = set(request.query_params["$select"].split(","))
        by = request.query_params["$orderby"]
        ordered = sorted(rows, key=lambda row: row.get(by, 0))
        page = [{name: said for name, said in one.items() if name in wanted} for one in ordered[skip : skip + size]]
        answer: dict[str, Any] = {"odata.metadata": f"$metadata#{entities}", "value": page}
        if skip + size < len(ordered):
            query = f"$select={request.query_params['$select']}&$orderby={by}&$skip={skip + size}"
            name = "odata.nextLink" if self.version == "v1" else "@odata.nextLink"
            answer[name] = f"{entities}?{query}"
        return JSONResponse(answer)


def _refused(code: int, says: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": {"lang": "en-us", "value": says}}}, 401)


if __name__ == "__main__":
    with serving(ServiceLayer([order(1)]).app(), Mishaps()) as url:
        input(f"{url}/b1s/v1, company_db {COMPANY_DB}, user {USER}, password {PASSWORD}; Enter ends it\n")
