"""What the story is about: which machine has which trouble, and when.

Belongs here: the choice of the troubles every demo has to show. Does not belong here: everyday stops (`timeline.py`),
what a trouble does to the data (`mishaps.py`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prodlytics.plant.model import Machine, Plant
from prodlytics.simulator import catalogue
from prodlytics.simulator.catalogue import HOUR_MS
from prodlytics.simulator.cycles import BadLot
from prodlytics.simulator.timeline import MINUTE_MS, ForcedStop, PlanRow, Timeline


@dataclass(frozen=True)
class Trouble:
    """Something wrong with one machine or its data in [begin, end), milliseconds since 1970."""

    kind: str
    machine: str
    begin: int
    end: int
    detail: str


@dataclass(frozen=True)
class Story:
    """Who is in trouble; None where the weeks told are too short for it."""

    weak: str
    outage: tuple[str, ForcedStop] | None
    gap: Trouble | None
    late: Trouble | None
    bad_lot: tuple[str, BadLot] | None
    reset: tuple[str, int] | None
    "Machine, and the time from which its counters may be reset."
    stale: tuple[str, int] | None


def choose(plant: Plant, plans: Mapping[str, Sequence[PlanRow]], tables_until: int, seed: int) -> Story:
    """Spread the troubles over machines and weeks.

    Args:
        plant: For its machines.
        plans: Machine id to its plan.
        tables_until: The troubles lie before this time, so that later days look like any others.
        seed: The same seed gives the same choice.
    """
    rng = np.random.default_rng((seed, 7))
    wide = [m for m in plant.machines if all((c.width_bits or 64) > 16 for c in m.counters)] or list(plant.machines)
    turn = [wide[int(i)].id for i in rng.permutation(len(wide))]

    def machine(n: int) -> str:
        return turn[n % len(turn)]

    def shift(n: int, share: float) -> tuple[int, int] | None:
        shifts = whole_shifts(plans[machine(n)], tables_until)
        return shifts[int(share * len(shifts))] if shifts else None

    out, gap, late, lot = shift(0, 0.68), shift(1, 0.45), shift(2, 0.8), shift(3, 0.57)
    fault = catalogue.fault_codes(plant).get("ELEC_DRIVE", catalogue.UNMAPPED_FAULT)
    begin = min(row.begin for plan in plans.values() for row in plan)
    length = tables_until - begin
    return Story(
        weak=machine(4),
        outage=out and (machine(0), ForcedStop(out[0] - 12 * MINUTE_MS, out[1] + 9 * MINUTE_MS, "ELEC_DRIVE", fault)),
        gap=gap and _inside(gap, "feed_gap", machine(1), 95, 180, "no sample arrived; what was sent meanwhile is lost"),
        late=late and _inside(late, "late_rows", machine(2), 70, 150, "arrived a day later in a file of their own"),
        bad_lot=lot and (machine(3), BadLot(lot[0] + HOUR_MS, lot[1] - HOUR_MS, 7.0)),
        reset=(machine(5), begin + int(0.52 * length)) if length > 0 else None,
        stale=(machine(6), begin + int(0.33 * length)) if length > 0 else None,
    )


def whole_shifts(plan: Sequence[PlanRow], until: int) -> list[tuple[int, int]]:
    """Begin and end of the shifts that lie wholly in the plan and before `until`, those of six hours and more."""
    spans: dict[tuple[str | None, dt.date], tuple[int, int]] = {}
    for row in plan:
        if row.plan != "not_scheduled":
            begin, _ = spans.get((row.shift, row.date), (row.begin, row.end))
            spans[row.shift, row.date] = (begin, row.end)
    return [(begin, end) for begin, end in spans.values() if end <= until and end - begin >= 6 * HOUR_MS]


def _inside(shift: tuple[int, int], kind: str, machine: str, after_min: int, length_min: int, detail: str) -> Trouble:
    begin = shift[0] + after_min * MINUTE_MS + 17_000
    return Trouble(kind, machine, begin, begin + length_min * MINUTE_MS, detail)


def reset_time(timeline: Timeline, not_before: int, until: int) -> int | None:
    """The middle of the first stop of some minutes: a controller is restarted while its machine stands."""
    for stretch in timeline.stretches:
        stands = stretch.state in {"fault", "setup", "idle"} and stretch.end - stretch.begin > 5 * MINUTE_MS
        if stands and not_before <= stretch.begin and stretch.end <= until:
            return (stretch.begin + stretch.end) // 2
    return None


def rollovers(machine: Machine, metric: str, time: np.ndarray, shown: np.ndarray) -> list[Trouble]:
    """Where a counter's register ran over: the sample after which it shows less, by more than half its range."""
    width = next((c.width_bits for c in machine.counters if c.metric == metric), None)
    if width is None:
        return []
    fell = np.flatnonzero(np.diff(shown) < -float(1 << (width - 1)))
    detail = f"{metric}, {width} bits"
    return [Trouble("counter_rollover", machine.id, int(time[i]), int(time[i + 1]), detail) for i in fell]
