"""What people and the ERP system wrote down.

Belongs here: work orders, part costs, reasons and scrap as people enter them: late, incomplete, sometimes wrong. Does
not belong here: the CSV form (`paper_files.py`). Rows are dictionaries of our field names; times are milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from prodlytics.plant.model import Part, Plant
from prodlytics.simulator import catalogue
from prodlytics.simulator.catalogue import HOUR_MS
from prodlytics.simulator.cycles import CAUSES, Cycles
from prodlytics.simulator.timeline import MINUTE_MS, Stretch, Timeline

Row = dict[str, object]

CUSTOMERS = ("Customer A", "Customer B", "Customer C", "Customer D", "Customer E")
#: Material cost of a piece by the place of its part in the file, in the plant's currency.
_COSTS = (1.85, 2.40, 2.10, 14.60, 11.20, 9.75, 7.90, 5.35)
#: Stops shorter than this need no reason.
NEEDS_REASON_MS = 2 * MINUTE_MS
_SCRAP_WORDS = {
    "chance": (("VISUAL", "scratch"), ("HANDLING", "dropped"), ("DIMENSION", "out of tolerance")),
    "start_up": (("STARTUP", "setup piece"),),
    "tool_wear": (("SURFACE", "burr"), ("DIMENSION", "oversize")),
    "material": (("MATERIAL", "cracks in material"),),
}


class StopSpan(NamedTuple):
    """A stop as people see it: one reason from begin to end."""

    begin: int
    end: int
    reason: str
    shift: str | None


def order_name(machine_index: int, order: int) -> str:
    """The work order number of a machine's n-th order."""
    return f"WO-{machine_index + 1:02d}{order + 1:04d}"


def stops_with_reason(timeline: Timeline) -> list[StopSpan]:
    """Stops somebody could name, neighbours with the same reason joined."""
    spans: list[StopSpan] = []
    for s in timeline.stretches:
        if s.state == "running" or s.reason is None:
            continue
        if spans and spans[-1].end == s.begin and spans[-1].reason == s.reason:
            spans[-1] = spans[-1]._replace(end=s.end)
        else:
            spans.append(StopSpan(s.begin, s.end, s.reason, s.shift))
    return spans


def reason_entries(plant: Plant, timeline: Timeline, end: int, seed: tuple[int, ...]) -> list[Row]:
    """Reasons given to about four stops in five, minutes later, one in sixteen wrong and some of those taken back."""
    rng = np.random.default_rng(seed)
    codes = sorted(catalogue.known_reasons(plant))
    rows: list[Row] = []
    for stop in stops_with_reason(timeline):
        night = _is_night(plant, stop.begin)
        lasted = stop.end - stop.begin
        named = rng.random() < (0.68 if night else 0.86) or lasted > 2 * HOUR_MS
        delay = int(min(rng.lognormal(np.log(4.0 if night else 2.5), 0.7), 90.0) * MINUTE_MS)
        wrong = rng.random() < 0.06
        split = lasted > 20 * MINUTE_MS and rng.random() < 0.08
        other = codes[int(rng.integers(len(codes)))]
        # Nobody ends a stop that still lasts; what is entered after the story's end is not known yet.
        if lasted <= NEEDS_REASON_MS or not named or max(stop.begin + delay, stop.end) >= end:
            continue
        said = other if wrong else stop.reason
        badge = _badge(plant, timeline, stop.begin)
        entered = stop.begin + delay
        first = _reason(timeline, stop.begin, stop.end, said, badge, entered)
        if split and not wrong:
            middle = (stop.begin + stop.end) // 2
            rows.append(_reason(timeline, stop.begin, middle, stop.reason, badge, entered))
            rows.append(_reason(timeline, middle, stop.end, other, badge, max(entered, stop.end)))
        else:
            rows.append(first)
        corrected = entered + int(rng.integers(20, 300)) * MINUTE_MS
        if wrong and rng.random() < 0.4 and corrected < end:
            undo = dict(first, kind="undo", undoes=first, why="wrong reason chosen", entered_at=corrected)
            undo["reason_code"] = None
            right = _reason(timeline, stop.begin, stop.end, stop.reason, "9001", corrected + 20_000)
            rows += [dict(row, entered_by="9001", source="supervisor") for row in (undo, right)]
    return rows


def _reason(timeline: Timeline, begin: int, end: int, code: str, badge: str, entered: int) -> Row:
    return {
        "machine_id": timeline.machine.id, "kind": "reason", "starts_at": begin, "ends_at": end,
        "reason_code": code, "entered_by": badge, "entered_at": entered,
    }  # fmt: skip


def scrap_entries(
    plant: Plant, timeline: Timeline, cycles: Cycles, hourly: bool, end: int, seed: tuple[int, ...]
) -> list[Row]:
    """Rejects with a reason, counted by people per hour or per shift; some are never explained."""
    rng = np.random.default_rng(seed)
    known = [category.code for category in plant.scrap_categories]
    if not known:
        return []
    rejected = np.flatnonzero(cycles.reject)
    rows: list[Row] = []
    for begin, until in _hours(timeline) if hourly else _shifts(timeline):
        if until + 15 * MINUTE_MS >= end:
            continue
        inside = rejected[(cycles.time[rejected] >= begin) & (cycles.time[rejected] < until)]
        counted: dict[tuple[str, str, int], int] = {}
        for k in inside:
            words = _SCRAP_WORDS[CAUSES[int(cycles.cause[k])]]
            category, word = words[int(rng.integers(len(words)))]
            key = (category if category in known else known[0], word, int(cycles.order[k]))
            counted[key] = counted.get(key, 0) + 1
        entered = until + int(rng.integers(-4, 12)) * MINUTE_MS
        for (category, word, order), count in sorted(counted.items()):
            if rng.random() < 0.13:
                continue
            part = timeline.orders[order].part
            rows.append(
                {
                    "machine_id": timeline.machine.id, "kind": "scrap", "starts_at": begin, "ends_at": until,
                    "quantity": count, "part_number": part.number if part else None, "scrap_category": category,
                    "scrap_reason": word, "entered_by": _badge(plant, timeline, begin), "entered_at": entered,
                }
            )  # fmt: skip
    return rows


def _hours(timeline: Timeline) -> list[tuple[int, int]]:
    first, last = timeline.plan[0].begin, timeline.plan[-1].end
    return [(at, at + HOUR_MS) for at in range(first, last, HOUR_MS)]


def _shifts(timeline: Timeline) -> list[tuple[int, int]]:
    spans: dict[tuple[str | None, object], tuple[int, int]] = {}
    for row in timeline.plan:
        if row.plan != "not_scheduled":
            begin, _ = spans.get((row.shift, row.date), (row.begin, row.end))
            spans[row.shift, row.date] = (begin, row.end)
    return list(spans.values())


def _is_night(plant: Plant, at: int) -> bool:
    return catalogue.bent(catalogue.local_hour(plant.zone, at)).stops > 1.2


def _badge(plant: Plant, timeline: Timeline, at: int) -> str:
    """The badge number of whoever works there at that time: crews keep their shift and their line."""
    lines = sorted({machine.line for machine in plant.machines})
    crew = catalogue.local_hour(plant.zone, at - 6 * HOUR_MS) // 8
    return str(1000 * (crew + 1) + 100 * (lines.index(timeline.machine.line) + 1) + len(timeline.machine.id) % 3 + 11)


def work_orders(plant: Plant, timeline: Timeline, cycles: Cycles, end: int, seed: tuple[int, ...]) -> list[Row]:
    """The ERP's view at `end`: orders that ran, and one that waits. One in ten is reported a little wrong."""
    rng = np.random.default_rng(seed)
    machine = timeline.machine
    index = [m.id for m in plant.machines].index(machine.id)
    spans: dict[int, list[Stretch]] = {}
    for stretch in timeline.stretches:
        if stretch.state in {"running", "setup"}:
            spans.setdefault(stretch.order, []).append(stretch)
    rows: list[Row] = []
    last = len(timeline.orders) - 1
    for number, order in enumerate(timeline.orders):
        ran = spans.get(number, [])
        mine = cycles.order == number
        good = int((mine & ~cycles.reject).sum()) + order.done_before
        scrap = int((mine & cycles.reject).sum())
        off = int(rng.integers(1, max(order.quantity // 40, 2))) if rng.random() < 0.1 else 0
        closed = number < last and bool(ran)
        started = ran[0].begin if ran else None
        if started is not None and order.done_before:
            ideal = catalogue.ideal_cycle_ms(machine, order.part, timeline.plan[0].date)
            started -= int(order.done_before * ideal * 1.3)
        ended = ran[-1].end if closed else None
        rate = machine.labor_rate_per_h.on(timeline.plan[-1].date) if machine.labor_rate_per_h else None
        rows.append(
            {
                "work_order": order_name(index, number), "operation": "10", "machine_id": machine.id,
                "part_number": order.part.number if order.part else None,
                "part_description": order.part.name if order.part else None, "order_qty": order.quantity,
                "completed_qty": max(good - off, 0), "scrap_qty": scrap,
                "material_cost_per_unit": _cost(plant, order.part), "labor_rate_per_hour": rate,
                "currency": plant.currency, "customer_name": CUSTOMERS[int(rng.integers(len(CUSTOMERS)))],
                "due_date": _due(plant, (ended or started or end) + int(rng.integers(1, 9)) * 24 * HOUR_MS),
                "status": "closed" if closed else "open", "started_at": started, "ended_at": ended,
                "source_modified_at": min((ended or end) + int(rng.integers(2, 40)) * MINUTE_MS, end),
            }
        )  # fmt: skip
    return rows


def _due(plant: Plant, at: int) -> str:
    return catalogue.local_time(plant.zone, at).date().isoformat()


def _cost(plant: Plant, part: Part | None) -> float | None:
    return _COSTS[plant.parts.index(part) % len(_COSTS)] if part is not None else None


def part_costs(plant: Plant, change: str) -> list[Row]:
    """What a piece's material costs, with one rise of the prices of every second part on the date `change`."""
    rows: list[Row] = []
    for n, part in enumerate(plant.parts):
        cost = _COSTS[n % len(_COSTS)]
        steps = [(plant.first_day.isoformat(), cost)]
        if n % 2 == 0:
            steps.append((change, round(cost * 1.06, 2)))
        rows += [
            {"part_number": part.number, "since": since, "material_cost_per_unit": value, "currency": plant.currency}
            for since, value in steps
        ]
    return rows


def numbered(rows: Sequence[Row]) -> list[Row]:
    """Entries in the order in which they were made, each with its key; undone ones are named by it."""
    ordered = sorted(rows, key=lambda row: (_time(row, "entered_at"), str(row["machine_id"]), _time(row, "starts_at")))
    keys = {id(row): f"tablet-{n + 1:06d}" for n, row in enumerate(ordered)}
    return [
        dict(row, source_key=keys[id(row)], undoes=keys[id(row["undoes"])] if "undoes" in row else None)
        for row in ordered
    ]


def _time(row: Row, field: str) -> int:
    return int(str(row[field]))
