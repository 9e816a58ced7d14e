"""A small MachineMetrics: production reports and GraphQL, with the documented limits.

Belongs here: what its public pages say: bearer keys, `ValidationError`, Hasura's arguments, 5 nodes, 3 levels, 1000
requests a minute; and the flat items of a report as users of it have published them. Does not belong here: our code.
By hand: `python -m prodlytics_tests.vendors.machinemetrics`.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from prodlytics_tests.vendors.serving import Mishaps, serving

KEY = "mm-key-nobody-may-see"
METRICS = {"goodParts", "nonconformParts", "totalParts", "oee", "availability", "performance", "quality", "allTime"}
GROUPS = {"machine", "machineGroup", "day", "shift", "hour", "operator", "jobOperation"}
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_TOKEN = re.compile(r'"[^"]*"|[A-Za-z_]\w*|-?\d+|[{}()\[\]:]')
#: Fields of their types, as their pages name them, and of a company that has been told of three more.
_FIELDS = {
    "query": {"machines"},
    "machines": {"machineRef", "name", "annotations"},
    "annotations": {"startAt", "endAt", "annotationType", "annotationRef", "updatedAt", "userName"},
    "annotationType": {"name"},
}


def item(machine: str, day: str, shift: str | None, good: Any, bad: Any, oee: Any, **more: Any) -> dict[str, Any]:
    """A flat item of a report by machine, day and shift."""
    return {"machine": machine, "machineId": "2f6d", "day": day, "shift": shift, "shiftId": "11", "goodParts": good,
            "nonconformParts": bad, "oee": oee, "availability": None, "performance": None, "quality": None,
            **more}  # fmt: skip


def annotation(starts: str | None, ends: str | None, kind: str | None, **more: Any) -> dict[str, Any]:
    """A downtime annotation."""
    return {"startAt": starts, "endAt": ends, "annotationType": None if kind is None else {"name": kind}, **more}


def machine(ref: int, name: str, *annotations: Any) -> dict[str, Any]:
    """A machine with its annotations."""
    return {"machineRef": ref, "name": name, "annotations": list(annotations)}


@dataclass
class MachineMetrics:
    """What a company has there."""

    items: list[Any] = field(default_factory=list)
    machines: list[dict[str, Any]] = field(default_factory=list)
    key: str = KEY
    knows: set[str] = field(default_factory=lambda: set(METRICS))
    "Metrics it knows."
    gives_at_most: int = 2
    "Elements of a list, whatever limit is asked for."
    ignores_offset: str = ""
    "A list whose pages repeat themselves."
    renamed: tuple[tuple[str, str], ...] = ()
    "Names of the report's answer that are not as they were."
    reports: list[dict[str, Any]] = field(default_factory=list)
    "Bodies of the reports asked for."
    times: list[float] = field(default_factory=list)

    def app(self) -> Starlette:
        """The server."""
        return Starlette(routes=[
            Route("/reports/production", self._report, methods=["POST"]),
            Route("/graphql", self._graphql, methods=["POST"]),
        ])  # fmt: skip

    def _refused(self, request: Request) -> Response | None:
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            return JSONResponse({"code": "Unauthorized", "message": "Invalid token"}, 401)
        now = time.monotonic()
        self.times = [*(at for at in self.times if now - at < 60), now]
        if len(self.times) > 1000:
            return JSONResponse({"message": "Too many requests"}, 429, {"Retry-After": "1"})
        if request.headers.get("Content-Type") != "application/json":
            return JSONResponse({"message": "Problem parsing JSON"}, 400)
        return None

    async def _report(self, request: Request) -> Response:
        if (refused := self._refused(request)) is not None:
            return refused
        asked = await request.json()
        self.reports.append(asked)
        wrong = [
            {"field": "data", "code": "InvalidDataItem", "message": f"Metric '{one.get('metric')}' is not valid"}
            for one in asked.get("data", [{}])
            if one.get("metric") not in self.knows
        ]
        wrong += [
            {"field": "groupBy", "code": "InvalidGroup"} for one in asked["groupBy"] if one["group"] not in GROUPS
        ]
        days = [str(asked.get(name)) for name in ("startDay", "endDay")]
        if not all(map(_DAY.fullmatch, days)) or days[0] > days[1]:
            wrong.append({"field": "startDay", "code": "InvalidDay", "message": "startDay must be before endDay"})
        if wrong:
            return JSONResponse({"code": "ValidationError", "message": "Validation Error", "errors": wrong}, 400)
        inside = [
            one for one in self.items if not isinstance(one, dict) or days[0] <= str(one.get("day"))[:10] <= days[1]
        ]
        wanted = {one["metric"] for one in asked["data"]} | {one["group"] for one in asked["groupBy"]}
        wanted |= {f"{one['group']}Id" for one in asked["groupBy"]}
        chosen = [
            {name: said for name, said in one.items() if name in wanted} if isinstance(one, dict) else one
            for one in inside
        ]
        text = json.dumps({"items": chosen})
        for was, now in self.renamed:
            text = text.replace(f'"{was}"', f'"{now}"')
        return Response(text, media_type="application/json")

    async def _graphql(self, request: Request) -> Response:
        if (refused := self._refused(request)) is not None:
            return refused
        try:
            tree = _Query((await request.json())["query"]).selection()
            nodes, levels = _size(tree)
            if nodes > 5 or levels > 3:
                raise ValueError(f"query has {nodes} nodes and {levels} levels")
            data = {"machines": self._chosen("machines", self.machines, *tree["machines"])}
        except ValueError as error:
            return JSONResponse({"errors": [{"message": str(error), "extensions": {"code": "validation-failed"}}]})
        return JSONResponse({"data": data})

    def _chosen(self, name: str, rows: list[Any], said: dict[str, Any], wanted: dict[str, Any]) -> list[Any]:
        rows = [row for row in rows if not isinstance(row, dict) or _holds(row, said.get("where", {}))]
        if said.get("offset") and "order_by" not in said:
            raise ValueError("offset is only useful in combination with order_by")
        orders = said.get("order_by", [])
        for order in reversed(orders if isinstance(orders, list) else [orders]):
            for column, way in order.items():
                rows.sort(key=lambda row: str(row.get(column)) if isinstance(row, dict) else "", reverse=way == "desc")
        first = 0 if self.ignores_offset == name else said.get("offset", 0)
        rows = rows[first : first + min(said.get("limit", 2**31), self.gives_at_most)]
        return [self._fields(name, row, wanted) for row in rows]

    def _fields(self, name: str, row: Any, wanted: dict[str, Any]) -> Any:
        if not isinstance(row, dict):
            return row
        told = {}
        for column, (said, inner) in wanted.items():
            if column not in _FIELDS[name]:
                raise ValueError(f"field '{column}' not found in type: '{name}'")
            if isinstance(row.get(column), list):
                told[column] = self._chosen(column, row[column], said, inner)
            elif column in row:
                told[column] = row[column]
        return told


class _Query:
    """The part of GraphQL that reading needs: fields with arguments and selections."""

    def __init__(self, text: str) -> None:
        self.tokens = _TOKEN.findall(text)

    def selection(self) -> dict[str, Any]:
        """Field to its arguments and its own selection."""
        self._take("{")
        fields: dict[str, Any] = {}
        while self.tokens[0] != "}":
            name = self.tokens.pop(0)
            said = self._pairs("(", ")") if self.tokens[0] == "(" else {}
            fields[name] = (said, self.selection() if self.tokens[0] == "{" else {})
        self._take("}")
        return fields

    def _pairs(self, opens: str, closes: str) -> dict[str, Any]:
        self._take(opens)
        said = {}
        while self.tokens[0] != closes:
            name = self.tokens.pop(0)
            self._take(":")
            said[name] = self._value()
        self._take(closes)
        return said

    def _value(self) -> Any:
        if self.tokens[0] == "{":
            return self._pairs("{", "}")
        if self.tokens[0] == "[":
            self._take("[")
            values = []
            while self.tokens[0] != "]":
                values.append(self._value())
            self._take("]")
            return values
        token = self.tokens.pop(0)
        return token if token.isidentifier() else json.loads(token)

    def _take(self, token: str) -> None:
        if not self.tokens or self.tokens.pop(0) != token:
            raise ValueError(f"syntax error: expected {token}")


def _size(tree: dict[str, Any]) -> tuple[int, int]:
    """Nodes and levels of a query."""
    inner = [_size(fields) for _, fields in tree.values() if fields]
    return len(inner) + sum(nodes for nodes, _ in inner), 1 + max((deep for _, deep in inner), default=-1)


def _holds(row: dict[str, Any], where: dict[str, Any]) -> bool:
    for column, tests in where.items():
        value = row.get(column)
        for test, to in tests.items():
            if test == "_is_null":
                holds = (value is None) == (to == "true")
            else:
                # As SQL: nothing compared with anything is not true.
                holds = value is not None and {"_gte": value >= to, "_eq": value == to}[test]
            if not holds:
                return False
    return True


if __name__ == "__main__":
    today = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 86400))
    example = MachineMetrics(
        items=[item("Press01", today, "Shift 1", 1180, 12, 0.713)],
        machines=[machine(1, "Press01", annotation(f"{today}T14:00:00Z", f"{today}T14:25:00Z", "Bearing"))],
    )
    with serving(example.app(), Mishaps()) as url:
        input(f"{url}, key {KEY}; Enter ends it\n")
