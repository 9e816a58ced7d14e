"""The ledger by brute force: one cell per second, one rule after the other, nothing vectorized and nothing shared.

Independent of the product's code on purpose; slow on purpose.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

NOT_STOPPED = ("running", "unknown")
LOSS = {"MECH_A": "failure", "SETUP_A": "changeover", "PM_A": "planned_stop", "MATL_A": "other_stop"}
FAULT_REASON = {"E1": "MECH_A"}


@dataclass(frozen=True)
class Said:
    """A reason from second to second (None: to the end of the stop it begins in), and when it was entered."""

    start: int
    end: int | None
    code: str
    entered: int


@dataclass
class Cell:
    """What one second is."""

    bucket: str
    reason: str | None = None
    stop: int | None = None
    "First second of its stop."


def ledger(state: list[tuple[str, str | None]], plan: list[str], said: list[Said], micro_stop_s: int) -> list[Cell]:
    """One cell per second of (state, fault) and plan."""
    stop_of = _stops([name for name, _ in state])
    planned_s = Counter(stop for stop, wanted in zip(stop_of, plan, strict=True) if wanted == "planned")
    cells = []
    for second, ((name, fault), wanted) in enumerate(zip(state, plan, strict=True)):
        stop = stop_of[second]
        if name == "running":
            cells.append(Cell("running"))
        elif wanted in ("not_scheduled", "break"):
            cells.append(Cell(wanted))
        elif name == "unknown":
            cells.append(Cell("planned_stop" if wanted == "planned_stop" else "unknown"))
        else:
            assert stop is not None
            by_person = _latest(said, second, stop_of)
            by_fault = FAULT_REASON.get(fault or "")
            reason = by_person or by_fault
            if wanted == "planned_stop":
                bucket = "planned_stop"
            elif by_person:
                bucket = LOSS[by_person]
            elif planned_s[stop] < micro_stop_s:
                bucket = "micro_stop"
            elif by_fault:
                bucket = LOSS[by_fault]
            else:
                bucket = {"fault": "failure", "setup": "changeover"}.get(name, "other_stop")
            cells.append(Cell(bucket, reason, stop))
    return cells


def _stops(names: list[str]) -> list[int | None]:
    found: list[int | None] = []
    for second, name in enumerate(names):
        if name in NOT_STOPPED:
            found.append(None)
        elif second and found[-1] is not None:
            found.append(found[-1])
        else:
            found.append(second)
    return found


def _latest(said: list[Said], second: int, stop_of: list[int | None]) -> str | None:
    best: Said | None = None
    for one in said:
        if one.end is None:
            begins_in = stop_of[one.start] if 0 <= one.start < len(stop_of) else None
            holds = second >= one.start and begins_in is not None and stop_of[second] == begins_in
        else:
            holds = one.start <= second < one.end
        if holds and (best is None or one.entered > best.entered):
            best = one
    return best.code if best else None
