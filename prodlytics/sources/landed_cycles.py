"""Ideal cycles from files and other systems: how long a part takes on a machine at best, and since when.

Belongs here: which rows are sound and which are new or changed. Does not belong here: which of them count beside the
plant file (`db/ideal_cycles.py`), and what has to be derived anew: they are settings, and a change of settings is
noticed by the next run (`db/plant_settings.py`).
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from prodlytics.db.queries import sql
from prodlytics.formats.records import Record, RecordField, new_or_changed

if TYPE_CHECKING:
    import psycopg

    from prodlytics.plant.model import LandingFormat, Plant

FIELDS = (
    RecordField("part_number", required=True),
    RecordField("machine_id", required=True),
    RecordField("since", "date", required=True),
    RecordField("ideal_cycle_time_ms", "number", required=True),
)


def check(record: Record, plant: Plant, form: LandingFormat, now: dt.datetime) -> None:
    """Refuse a cycle that takes no time."""
    if record.values["ideal_cycle_time_ms"] == 0:
        record.refuse("bad_number", "an ideal cycle of 0 ms: leave it out where nobody has said one")


def store(
    conn: psycopg.Connection[Any],
    plant: Plant,
    records: list[Record],
    form: LandingFormat,
    cause: str,
    now: dt.datetime,
) -> int:
    """Store cycles that are new or changed; the file or pass that comes last counts."""
    parts = sorted({record.values["part_number"] for record in records})
    found = conn.execute(sql("select_known_cycles"), {"parts": parts}).fetchall()
    known = {(part, machine, since): (cycle,) for part, machine, since, cycle in found}
    for record in records:
        # The column is a float: 0.1 as the file says it would differ from it for ever.
        record.values["ideal_cycle_time_ms"] = float(record.values["ideal_cycle_time_ms"])
    written = new_or_changed(
        records, known, form, key=("part_number", "machine_id", "since"), value=("ideal_cycle_time_ms",)
    )
    if written:
        with conn.cursor() as cursor:
            cursor.executemany(sql("upsert_ideal_cycle"), written)
    return len(written)
