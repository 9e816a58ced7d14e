"""Part costs from files and other systems: what a part's material costs, and since when.

Belongs here: which rows are sound, which are new or changed, and which scrap they are the cost of. Does not belong
here: dating a cost that came without a day (`effective_dates.py`).
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pandas as pd

from prodlytics.db import dirty
from prodlytics.db.queries import sql
from prodlytics.formats.records import Record, RecordField, new_or_changed

if TYPE_CHECKING:
    import psycopg

    from prodlytics.plant.model import LandingFormat, Plant

FIELDS = (
    RecordField("part_number", required=True),
    RecordField("since", "date", required=True),
    RecordField("material_cost_per_unit", "number", required=True),
    RecordField("currency"),
)


def check(record: Record, plant: Plant, form: LandingFormat, now: dt.datetime) -> None:
    """Refuse a cost in another currency than the plant's: amounts are added up."""
    currency = record.values["currency"] = record.values["currency"] or plant.currency
    if currency != plant.currency:
        record.refuse("other_currency", f"the amount is in {currency}, the plant counts in {plant.currency}")


def store(
    conn: psycopg.Connection[Any],
    plant: Plant,
    records: list[Record],
    form: LandingFormat,
    cause: str,
    now: dt.datetime,
) -> int:
    """Store costs that are new or changed, and mark the scrap they are the cost of."""
    parts = sorted({record.values["part_number"] for record in records})
    found = conn.execute(sql("select_known_costs"), {"parts": parts}).fetchall()
    known = {(part, since): (cost, currency) for part, since, cost, currency in found}
    written = new_or_changed(
        records, known, form, key=("part_number", "since"), value=("material_cost_per_unit", "currency")
    )
    if written:
        with conn.cursor() as cursor:
            cursor.executemany(sql("upsert_part_cost"), written)
        firsts = pd.DataFrame(written).groupby("part_number")["since"].min()
        touched = conn.execute(
            sql("select_scrap_moments"), {"parts": firsts.index.tolist(), "since": firsts.tolist()}
        ).fetchall()
        dirty.mark(conn, "scrap_events", touched, cause)
    return len(written)
