"""From which day something holds that another system says without a date: costs, ideal cycles.

Belongs here: dating what a pass brings. Does not belong here: storing it (`landed_costs.py`, `landed_cycles.py`). A
landed file says the day itself: it may be loaded again, in any order.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from prodlytics.db.queries import sql
from prodlytics.formats.records import Record, RecordField
from prodlytics.plant.calendar import production_date_of
from prodlytics.sources.landed_records import fields_of

if TYPE_CHECKING:
    import psycopg

    from prodlytics.plant.model import Plant


@dataclass(frozen=True)
class _Dated:
    """What of a record is its identity, and what it says; `query` gives both of all parts, with the day between."""

    query: str
    key: tuple[str, ...]
    value: str
    as_stored: Callable[[Any], Any]


DATED = {
    "part_costs": _Dated("select_known_costs", ("part_number",), "material_cost_per_unit", lambda said: said),
    "ideal_cycles": _Dated("select_known_cycles", ("part_number", "machine_id"), "ideal_cycle_time_ms", float),
}


def fields_asked(dataset: str) -> tuple[RecordField, ...]:
    """The fields of a record another system brings: `since` may be left out."""
    return tuple(replace(field, required=False) if field.name == "since" else field for field in fields_of(dataset))


def date_undated(
    conn: psycopg.Connection[Any], plant: Plant, dataset: str, records: list[Record], now: dt.datetime
) -> None:
    """Give sound records without `since` the day from which what they say holds.

    What was never known holds from the plant's first day: there is nothing better for the days before. What is said
    differently than before holds from the production day on which it was brought. Two that contradict each other in
    one pass are refused: which came last would be chance.

    Args:
        conn: In the transaction of the pass.
        plant: The plant.
        dataset: One of `DATED`.
        records: Of one pass, checked; `since` is filled in.
        now: Our clock.
    """
    dated = DATED[dataset]
    undated = [record for record in records if record.problem is None and record.values["since"] is None]
    said: dict[tuple[str, ...], set[Any]] = {}
    for record in undated:
        said.setdefault(_key(dated, record), set()).add(dated.as_stored(record.values[dated.value]))
    newest = _newest(conn, dated, sorted({key[0] for key in said}))
    today = production_date_of(plant, now)
    for record in undated:
        key = _key(dated, record)
        if len(said[key]) > 1:
            told = ", ".join(str(one) for one in sorted(said[key]))
            record.refuse("conflict", f"{' on '.join(key)} has several values of {dated.value} at once: {told}")
        elif key not in newest:
            record.values["since"] = plant.first_day
        elif newest[key][1] in said[key]:
            record.values["since"] = newest[key][0]
        else:
            record.values["since"] = today


def _key(dated: _Dated, record: Record) -> tuple[str, ...]:
    return tuple(record.values[name] for name in dated.key)


def _newest(
    conn: psycopg.Connection[Any], dated: _Dated, parts: list[str]
) -> dict[tuple[str, ...], tuple[dt.date, Any]]:
    """Identity to the newest day and what holds from it."""
    width = len(dated.key)
    newest: dict[tuple[str, ...], tuple[dt.date, Any]] = {}
    for row in conn.execute(sql(dated.query), {"parts": parts}).fetchall():
        key, since, value = row[:width], row[width], row[width + 1]
        if key not in newest or since > newest[key][0]:
            newest[key] = (since, value)
    return newest
