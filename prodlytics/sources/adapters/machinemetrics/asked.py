"""Asking MachineMetrics, and what its resources have in common.

Belongs here: its limits, names and keys. Does not belong here: one resource. Neither resource says what changed since
when, so that every pass reads the last `REACH`, and what differs is taken as a correction.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from prodlytics.formats.names import MachineNames
from prodlytics.sources.ask import ask
from prodlytics.sources.connections import pairs_of

if TYPE_CHECKING:
    import requests

    from prodlytics.plant.connection import Connection
    from prodlytics.plant.model import Plant

#: How far back a pass reaches, and so until when a correction is noticed.
REACH = dt.timedelta(days=7)
#: A company may ask 1000 times a minute.
_BETWEEN_S = 60 / 1000
#: To connect, and between two bytes: a question that takes them longer than 10 s is broken off there.
_TIMEOUT_S = (5.0, 10.0)


@dataclass
class Pace:
    """Requests of one connection, so far apart that the minute's limit is kept."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    last: float = float("-inf")

    def wait(self) -> None:
        """Wait until the next request may be sent."""
        self.sleep(max(0.0, self.last + _BETWEEN_S - self.now()))
        self.last = self.now()


@dataclass
class Asked:
    """One MachineMetrics and what is set up for it."""

    connection: Connection
    options: dict[str, str]
    plant: Plant
    over: requests.Session
    pace: Pace
    machines: Mapping[str, str] = field(init=False)
    base: str = field(init=False)

    def __post_init__(self) -> None:
        self.machines = {**MachineNames.of(self.plant).ids, **self.connection.machines}
        self.base = self.connection.url.rstrip("/")

    def post(self, path: str, body: Mapping[str, object]) -> Any:
        """The JSON of an answer; every question is a POST, and none of them changes anything.

        Raises:
            SourceUnavailableError: No answer in time, or none that can be used.
        """
        self.pace.wait()
        return ask(self.over, "POST", f"{self.base}{path}", timeout_s=_TIMEOUT_S, why=_why, json=body)

    def names(self, option: str) -> dict[str, str]:
        """Their names (any case) to ours, as an option writes them.

        Raises:
            ConnectionSetupError: A pair is no pair.
        """
        pairs = pairs_of(self.connection, self.options, option)
        return {theirs.casefold(): ours for theirs, ours in pairs.items()}


def _why(refusal: bytes) -> str:
    """What a `ValidationError` says is wrong."""
    try:
        said = json.loads(refusal)
        errors = said.get("errors") or [said]
        return "; ".join(str(error.get("message") or error.get("code")) for error in errors)
    except (ValueError, AttributeError, TypeError):
        return "it does not say why"


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Resource:
    """What both resources have in common."""

    said_by: Literal["machinemetrics"] = "machinemetrics"
    dataset: Literal["operator_entries"] = "operator_entries"
    overlap = dt.timedelta(0)
    reach = REACH
    complete = True
    clock: Callable[[], dt.datetime] = staticmethod(_now)
    "Tells which days are asked for, and which shifts are over."

    def __init__(self, asked: Asked) -> None:
        self.source = asked.connection.name
        self.timezone = asked.connection.timezone
        self._asked, self._plant = asked, asked.plant

    def _machine(self, name: object) -> object:
        return self._asked.machines.get(name, name) if isinstance(name, str) else name
