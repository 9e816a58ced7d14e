"""Reasons people gave for downtime in MachineMetrics.

Belongs here: asking its GraphQL for annotations and taking them apart. Does not belong here: HTTP (`asked.py`).
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from prodlytics.sources.adapters.machinemetrics.asked import REACH, Asked, Resource
from prodlytics.sources.ask import SourceUnavailableError
from prodlytics.sources.changed_there import entry_key

#: Machines and annotations of each that are asked for at once.
_MACHINES, _ANNOTATIONS = 50, 500


class Annotations(Resource):
    """Reasons people gave for downtime there.

    One that has not ended, or whose type nobody has chosen yet, is left for a later pass.
    """

    resource = "annotations"

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked)
        names = [(category.name, category.code) for category in self._plant.reasons]
        names += [(reason.name, reason.code) for category in self._plant.reasons for reason in category.reasons]
        # A name that several reasons share says none of them.
        times = Counter(name.casefold() for name, _ in names)
        self._reasons = {
            **{name.casefold(): code for name, code in names if times[name.casefold()] == 1},
            **{code.casefold(): code for _, code in names},
            **asked.names("reasons"),
        }
        self._id, self._changed, self._user = (
            asked.options[f"annotation_{name}"] for name in ("id", "changed", "user")
        )

    def pages(self, since: dt.datetime | None) -> Iterable[list[dict[str, Any]]]:
        """Machines by the page, each with all its annotations that ended within `REACH`.

        Raises:
            SourceUnavailableError: No answer, a refusal, another form than documented, or pages that repeat themselves.
        """
        ended_after = self.clock() - REACH
        seen: set[object] = set()
        offset = 0
        while machines := self._machines(offset, ended_after):
            refs = {str(machine.get("machineRef")) for machine in machines}
            if seen & refs:
                raise SourceUnavailableError(f"{self._asked.base}/graphql gives machines again that it gave before")
            seen |= refs
            yield machines
            offset += len(machines)

    def _machines(self, offset: int, ended_after: dt.datetime) -> list[dict[str, Any]]:
        """A page of machines with all of their annotations."""
        machines = newest = self._page(offset, 0, ended_after)
        reached = 0
        # Until none gives any more: the system may give fewer at once than it is asked for.
        while gave := max((len(machine["annotations"]) for machine in newest), default=0):
            reached += gave
            before, newest = newest, self._page(offset, reached, ended_after)
            more = {str(machine.get("machineRef")): machine["annotations"] for machine in newest}
            if any(one["annotations"] and one["annotations"] == more.get(str(one.get("machineRef"))) for one in before):
                raise SourceUnavailableError(f"{self._asked.base}/graphql gives annotations again that it gave before")
            for machine in machines:
                machine["annotations"] = machine["annotations"] + more.get(str(machine.get("machineRef")), [])
        return machines

    def _page(self, offset: int, skipped: int, ended_after: dt.datetime) -> list[dict[str, Any]]:
        # Three levels and three nodes, of three and five allowed. Offsets mean something only together with an order.
        more = " ".join(name for name in (self._id, self._changed, self._user) if name)
        query = (
            f"{{ machines(order_by: {{machineRef: asc}}, limit: {_MACHINES}, offset: {offset}) {{ machineRef name "
            f'annotations(where: {{endAt: {{_gte: "{ended_after:%Y-%m-%dT%H:%M:%SZ}"}}}}, '
            f"order_by: [{{startAt: asc}}, {{endAt: asc}}], limit: {_ANNOTATIONS}, offset: {skipped}) "
            f"{{ startAt endAt {more} annotationType {{ name }} }} }} }}"
        )
        answer = self._asked.post("/graphql", {"query": query})
        return _machines_of(answer, f"{self._asked.base}/graphql")

    def parse(self, page: list[dict[str, Any]]) -> list[Mapping[str, object]]:
        """One row for each annotation that has ended and has a type."""
        told: list[Mapping[str, object]] = []
        for machine in page:
            at_once: Counter[str] = Counter()
            for said in machine["annotations"]:
                if not isinstance(said, dict):
                    told.append({"machine_id": self._machine(machine.get("name")), "kind": "reason", "said": said})
                    continue
                start = str(said.get("startAt"))
                at_once[start] += 1
                unfinished = ("endAt" in said and said["endAt"] is None) or (
                    "annotationType" in said and said["annotationType"] is None
                )
                if not unfinished:
                    told.append(self._reason(machine, said, at_once[start]))
        return told

    def _reason(self, machine: Mapping[str, Any], said: Mapping[str, Any], nth: int) -> Mapping[str, object]:
        kind = said.get("annotationType")
        name = kind.get("name") if isinstance(kind, dict) else kind
        identity = said.get(self._id) if self._id else None
        # Without an identity an annotation is known by its start, so that another reason for it is a correction.
        where = (machine.get("machineRef"), said.get("startAt"), *((nth,) if nth > 1 else ()))
        return {
            "source_key": entry_key(*where) if identity is None else entry_key(identity),
            "machine_id": self._machine(machine.get("name")),
            "kind": "reason",
            "starts_at": said.get("startAt"),
            "ends_at": said.get("endAt"),
            "reason_code": self._reasons.get(name.strip().casefold(), name) if isinstance(name, str) else name,
            "note": name,
            "entered_by": (said.get(self._user) if self._user else None) or "machinemetrics",
            "entered_at": (said.get(self._changed) if self._changed else None) or said.get("endAt"),
        }


def _machines_of(answer: object, url: str) -> list[dict[str, Any]]:
    """The machines of an answer of the documented form."""
    if isinstance(answer, dict) and answer.get("errors"):
        first = answer["errors"][0] if isinstance(answer["errors"], list) else answer["errors"]
        why = first.get("message") if isinstance(first, dict) else first
        raise SourceUnavailableError(f"{url} refuses the question: {str(why)[:200]}")
    data = answer.get("data") if isinstance(answer, dict) else None
    machines = data.get("machines") if isinstance(data, dict) else None
    if not isinstance(machines, list):
        raise SourceUnavailableError(f"{url} answers without the list data.machines: its form is not the one we know")
    for machine in machines:
        if not isinstance(machine, dict) or not isinstance(machine.get("annotations"), list):
            raise SourceUnavailableError(f"{url} answers a machine without a list of annotations: its form has changed")
    return machines
