"""A plant with the names of the guide's KEPServerEX channels, and the rules of a day in November."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from prodlytics.formats.judge import Rules
from prodlytics.plant.model import Plant
from prodlytics_tests.plant.small_plant import small_plant

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
#: 2026-11-23T10:00:00Z in milliseconds, from `date -u -d 2026-11-23T10:00:00Z +%s`.
T = 1_795_428_000_000


def plant(**changes: Any) -> Plant:
    state = {"map": {"1": "running"}}
    machines = [
        {"id": "Press01", "name": "One", "line": "L1", "aliases": ["AB.Press01"], "state": state},
        {"id": "Robot01", "name": "Two", "line": "L1", "aliases": ["AB.Press01.Robot"], "state": state},
    ]
    return small_plant(**({"machines": machines} | changes))


def rules() -> Rules:
    return Rules.of(plant(), NOW)


def message(*values: dict[str, Any], sent: int = T + 500) -> bytes:
    return json.dumps({"timestamp": sent, "values": list(values)}).encode()


def sample(tag: str = "AB.Press01.PartCountGood", v: Any = 1, q: Any = True, t: Any = T) -> dict[str, Any]:
    return {"id": tag, "v": v, "q": q, "t": t}
