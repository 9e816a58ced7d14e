"""The plant with the ideal cycles that other systems say.

Belongs here: which of them count. Does not belong here: storing them (`prodlytics.sources.landed_cycles`), noticing
that they changed (`plant_settings.py`, which takes them for settings as it takes the plant file's own).
"""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from prodlytics.db.queries import sql
from prodlytics.plant.model import History, Part, Plant
from prodlytics.plant.values import Positive

if TYPE_CHECKING:
    import datetime as dt

    import psycopg


def with_ideal_cycles(conn: psycopg.Connection[Any], plant: Plant) -> Plant:
    """The plant file, completed by what `ideal_cycles` says of parts on machines.

    The plant file outranks other systems: where it has an ideal cycle of a part on a machine, theirs are left out. A
    part it does not have is added under its number. Machines it does not have are left out.

    Args:
        conn: An open connection.
        plant: The plant file.
    """
    machines = {machine.id for machine in plant.machines}
    parts = {part.number: part for part in plant.parts}
    rows = conn.execute(sql("select_ideal_cycles")).fetchall()
    for (number, machine_id), steps in groupby(rows, key=itemgetter(0, 1)):
        part = parts.get(number) or Part(number=number, name=number)
        if machine_id not in machines or machine_id in part.ideal_cycle_time_ms:
            continue
        cycles = {**part.ideal_cycle_time_ms, machine_id: _history(steps)}
        parts[number] = part.model_copy(update={"ideal_cycle_time_ms": cycles})
    return plant if list(parts.values()) == list(plant.parts) else plant.model_copy(
        update={"parts": tuple(parts.values())}
    )  # fmt: skip


def _history(rows: Any) -> History[Positive]:
    steps: list[dict[str, dt.date | float | str]] = [
        {"since": since, "value": cycle, "source": source} for _, _, since, cycle, source in rows
    ]
    return History[Positive].model_validate(steps)
