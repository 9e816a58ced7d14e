"""Which machine a line is measured by.

Belongs here: the bottleneck of a line in a period. Does not belong here: adding up (`kpi_rollup`), how a line is
configured (`plant.model.Line`).
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import pandas as pd

from prodlytics.kpi.elements import ideal_cycle_ms
from prodlytics.plant.model import Line, Machine, Part, Plant

#: The basis of a line whose machines are added up.
SUM = "sum"
PERIOD = ["period", "period_start", "shift"]
#: A part on a production day: ideal cycles change from day to day.
Made = tuple[str, dt.date]


@dataclass
class _Demand:
    """What a line had to do in a period."""

    counted: dict[Made, dict[str, float]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(float)))
    "Parts by part and day, then by machine."
    planned: set[str] = field(default_factory=set)
    "Machines with planned time."
    seen: set[str] = field(default_factory=set)
    "Machines with time of any kind."


def line_basis(plant: Plant, rows: pd.DataFrame) -> pd.DataFrame:
    """The machine that stands for each line in each period, by the line's rule and never by a mean.

    A bottleneck that is not named in the plant file is the machine with the longest ideal time per part the line was
    required to make. Required is, of each part number and production day, the largest number counted (good, reject and
    rework) on any machine of the line: in a line every part passes every machine that makes it. Each such part costs a
    machine its ideal cycle on that day, if the plant file gives one of the line's machines a cycle for that part; a
    machine without one does not make it. Where no machine of the line has one, every machine takes its own. Only
    machines with planned time are looked at, if there are any; of equals the first in the plant file. A period in which
    nothing was made is judged by one of each part in work, and if there was none by the machines' own cycles; where
    no cycle is known the last machine stands for the line.

    Args:
        plant: Lines, machines in order, ideal cycles.
        rows: Columns line, machine_id, period, period_start, shift, production_date, part_number, planned_time_us and
            the counts, any number of rows per period.

    Returns:
        line, period, period_start, shift, basis (machine or `sum`), basis_reason.
    """
    keys = rows[["line", *PERIOD]].drop_duplicates().reset_index(drop=True)
    searched = {line.id for line in _lines(plant, keys["line"]) if line.oee == "bottleneck" and line.machine is None}
    demands = _demands(rows[rows["line"].isin(searched)])
    found = [
        _bottleneck(plant, str(key[0]), demands[key]) if key[0] in searched else _configured(plant, str(key[0]))
        for key in keys.itertuples(index=False, name=None)
    ]
    return keys.assign(basis=[one for one, _ in found], basis_reason=[why for _, why in found])


def _lines(plant: Plant, ids: Iterable[str]) -> list[Line]:
    return [plant.line(line_id) for line_id in sorted(set(ids))]


def _configured(plant: Plant, line_id: str) -> tuple[str, str]:
    line = plant.line(line_id)
    if line.oee == "sum":
        return SUM, "all machines of the line added up, as the plant file says"
    if line.machine is not None:
        return line.machine, f"{line.oee} machine, as the plant file says"
    return _machines(plant, line_id)[-1].id, "last machine of the line in the plant file"


def _machines(plant: Plant, line_id: str) -> list[Machine]:
    return [machine for machine in plant.machines if machine.line == line_id]


def _demands(rows: pd.DataFrame) -> dict[tuple[object, ...], _Demand]:
    demands: dict[tuple[object, ...], _Demand] = defaultdict(_Demand)
    parts = rows["good_count"] + rows["reject_count"] + rows["rework_count"]
    columns = rows[["line", *PERIOD, "machine_id", "production_date", "part_number", "planned_time_us"]]
    for (*key, machine, day, part, planned), count in zip(
        columns.itertuples(index=False, name=None), parts, strict=True
    ):
        demand = demands[tuple(key)]
        demand.counted[part, day][machine] += count
        demand.seen.add(machine)
        if planned > 0:
            demand.planned.add(machine)
    return demands


def _bottleneck(plant: Plant, line_id: str, demand: _Demand) -> tuple[str, str]:
    machines = _machines(plant, line_id)
    candidates = [machine for machine in machines if machine.id in (demand.planned or demand.seen)]
    required = _required(demand)
    total = sum(required.values())
    times = {machine.id: 0.0 for machine in candidates}
    for (number, day), quantity in required.items():
        for machine_id, cycle_ms in _cycles(plant, machines, number, day).items():
            if machine_id in times:
                times[machine_id] += quantity * cycle_ms
    longest = max(times.values())
    if longest <= 0:
        return candidates[-1].id, "no ideal cycle is known: last machine of the line in the plant file"
    first = next(machine_id for machine_id, time in times.items() if time == longest)
    return first, f"longest ideal time per part required: {longest / total / 1000:.1f} s"


def _required(demand: _Demand) -> dict[Made, float]:
    """Quantity of each part and day; in an order that does not depend on that of the rows."""
    made = sorted(demand.counted)
    required = {key: max(demand.counted[key].values()) for key in made}
    if any(required.values()):
        return {key: quantity for key, quantity in required.items() if quantity}
    return {key: 1.0 for key in made if key[0]} or dict.fromkeys(made, 1.0)


def _cycles(plant: Plant, machines: list[Machine], number: str, day: dt.date) -> dict[str, float]:
    """Ideal cycle in ms of each machine that makes the part."""
    part = next((part for part in plant.parts if part.number == number), None)
    making = [machine for machine in machines if part is not None and _own_cycle(part, machine, day)] or machines
    cycles = {machine.id: ideal_cycle_ms(plant, machine, number or None, day) for machine in making}
    return {machine_id: cycle for machine_id, cycle in cycles.items() if cycle is not None}


def _own_cycle(part: Part, machine: Machine, day: dt.date) -> bool:
    history = part.ideal_cycle_time_ms.get(machine.id)
    return history is not None and history.on(day) is not None
