"""Ideal cycles from the orders of an ERP, each of which carries the standard of its own day.

Belongs here: from which day which standard of a part on a machine holds. Does not belong here: how one ERP writes a
standard.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass
class StandardTimes:
    """Standards of orders, added one operation after the other."""

    said: dict[tuple[str, str], dict[tuple[str, str], Decimal | None]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    "Part and machine to day and order, to milliseconds a part; None where an operation says nothing usable."

    def add(self, part: object, machine: str, since: object, order: object, cycle_ms: Decimal | None) -> None:
        """An operation of an order that began on a day (ISO 8601; what follows it is left out).

        Of several operations of an order on one machine a part takes all of them. Without part or day nothing is said.
        """
        if not isinstance(part, str) or not isinstance(since, str) or not since:
            return
        of_orders = self.said[part, machine]
        key = (since[:10], str(order))
        before = of_orders.get(key, Decimal(0))
        of_orders[key] = None if before is None or cycle_ms is None else before + cycle_ms

    def rows(self) -> list[Mapping[str, object]]:
        """One row of `ideal_cycles` where the standard of a part on a machine begins to be another.

        Of several orders that begin on one day the last by its number counts.
        """
        told: list[Mapping[str, object]] = []
        for (part, machine), of_orders in sorted(self.said.items()):
            by_day = {since: cycle for (since, _), cycle in sorted(of_orders.items()) if cycle is not None}
            holds = None
            for since, cycle in by_day.items():
                if cycle != holds:
                    holds = cycle
                    told.append(
                        {"part_number": part, "machine_id": machine, "since": since, "ideal_cycle_time_ms": cycle}
                    )
        return told
