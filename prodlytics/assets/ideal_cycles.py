"""ideal_cycles: how long a part takes on a machine at best, as other systems say, and since when.

Belongs here: the question asked of this dataset. Loading it is `landed_table`; adapters to ERPs write the same table.
What counts beside the plant file: `db/ideal_cycles.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prodlytics.assets.checks import Check
from prodlytics.assets.landed_table import landed_table

if TYPE_CHECKING:
    import dagster as dg
    import psycopg

    from prodlytics.plant.model import Plant


def ideal_cycles(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""

    def look(conn: psycopg.Connection[Any]) -> Check:
        return _look(conn, plant)

    return landed_table(
        plant,
        "ideal_cycles",
        "agree_with_the_plant_file",
        "Do other systems and the plant file say the same of the parts both know?",
        look,
    )


def _look(conn: psycopg.Connection[Any], plant: Plant) -> Check:
    from prodlytics.db.queries import sql

    own = {(part.number, machine): cycle for part in plant.parts for machine, cycle in part.ideal_cycle_time_ms.items()}
    rows = conn.execute(sql("select_ideal_cycles")).fetchall()
    newest = {(part, machine): (cycle, source) for part, machine, _, cycle, source in rows}
    other = []
    for (part, machine), (cycle, source) in newest.items():
        ours = own[part, machine].steps[-1].value if (part, machine) in own else None
        if ours is not None and abs(cycle - ours) > 0.01 * ours:
            other.append(f"{part} on {machine} takes {ours:g} ms, {source} says {cycle:g}")
    return Check(
        "agree_with_the_plant_file",
        not other,
        f"{'; '.join(other[:5])}: the plant file counts. Remove ideal_cycle_time_ms there to follow the other system."
        if other
        else "No ideal cycle of another system differs from the plant file by more than 1 %.",
        {"differing": len(other), "said_elsewhere": len(newest)},
        warns=True,
    )
