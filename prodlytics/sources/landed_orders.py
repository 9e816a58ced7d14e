"""Work orders from files and other systems: the newest version of each counts.

Belongs here: which rows are sound, which of them are new or changed, and what has to be derived anew. Does not belong
here: asking an ERP.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pandas as pd

from prodlytics.db import dirty, locks
from prodlytics.db.queries import sql
from prodlytics.formats.records import Record, RecordField

if TYPE_CHECKING:
    import psycopg

    from prodlytics.plant.model import LandingFormat, Plant

FIELDS = (
    RecordField("work_order", required=True),
    RecordField("operation"),
    RecordField("part_number"),
    RecordField("part_description"),
    RecordField("machine_id"),
    RecordField("order_qty", "number"),
    RecordField("completed_qty", "number"),
    RecordField("scrap_qty", "number"),
    RecordField("material_cost_per_unit", "number"),
    RecordField("labor_rate_per_hour", "number"),
    RecordField("currency"),
    RecordField("customer_name"),
    RecordField("due_date", "date"),
    RecordField("status", required=True),
    RecordField("started_at", "time"),
    RecordField("ended_at", "time"),
    RecordField("source_modified_at", "time"),
    RecordField("order_unit"),
)
_STATUS = {
    "open": "open",
    "released": "open",
    "active": "open",
    "closed": "closed",
    "completed": "closed",
    "cancelled": "cancelled",
    "canceled": "cancelled",
}
_ORDER_COLUMNS = [field.name for field in FIELDS]
#: What production and stops take from an order: only a change of these makes hours dirty.
_DERIVED_FROM = ("machine_id", "part_number", "started_at", "ended_at")
_DERIVED = ("downtime_events", "production_events", "reconciliation", "scrap_events", "oee_shift",
            "stop_features")  # fmt: skip
#: What is only compared with what was derived.
_COMPARED_WITH = ("completed_qty", "scrap_qty", "status", "source_modified_at")


def check(record: Record, plant: Plant, form: LandingFormat, now: dt.datetime) -> None:
    """Refuse an order whose status or span makes no sense."""
    order = record.values
    order["operation"] = order["operation"] or ""
    status = _STATUS.get(order["status"].lower())
    if status is None:
        record.refuse("bad_status", f"{order['status']!r} is not one of {', '.join(_STATUS)}")
    order["status"] = status
    if order["started_at"] and order["ended_at"] and order["ended_at"] < order["started_at"]:
        record.refuse(
            "ends_before_start", f"the order ends at {order['ended_at']:%Y-%m-%dT%H:%M:%SZ}, before its start"
        )


def store(
    conn: psycopg.Connection[Any],
    plant: Plant,
    records: list[Record],
    form: LandingFormat,
    cause: str,
    now: dt.datetime,
) -> int:
    """Store orders that are new or newer than the stored version.

    Without a time of change the file that is loaded last counts. Equal and older versions are duplicates.
    """
    keys = {(record.values["work_order"], record.values["operation"]) for record in records}
    found = conn.execute(sql("select_known_orders"), {"orders": sorted({order for order, _ in keys})}).fetchall()
    known = {(row[0], row[1]): dict(zip(_ORDER_COLUMNS, row, strict=True)) for row in found}
    written: dict[tuple[str, str], dict[str, Any]] = {}
    spans: list[dict[str, Any]] = []
    reported: list[dict[str, Any]] = []
    stored = 0
    for record in records:
        order = record.values
        key = (order["work_order"], order["operation"])
        before = known.get(key)
        if before == order or _is_older(order, before):
            continue
        if before is None or any(before[name] != order[name] for name in _DERIVED_FROM):
            spans += [version for version in (before, order) if version]
        elif any(before[name] != order[name] for name in _COMPARED_WITH):
            reported.append(order)
        known[key] = order
        written[key] = {
            **order, "source": record.sent.get("source") or form.name,
            "source_resource": record.sent.get("source_resource"),
        }  # fmt: skip
        # A file may hold several versions of an order: each one that counted for a moment was stored.
        stored += 1
    if written:
        with conn.cursor() as cursor:
            cursor.executemany(sql("upsert_order"), list(written.values()))
    dirty.mark_spans(conn, _DERIVED, _derived_part(conn, _spans(spans, now)), cause)
    # An order is compared as a whole: any instant of it will do.
    begins = _derived_part(conn, _spans(reported, now))
    dirty.mark_spans(conn, ("reconciliation",), begins.assign(ends_at=begins["starts_at"]), cause)
    return stored


def _derived_part(conn: psycopg.Connection[Any], spans: pd.DataFrame) -> pd.DataFrame:
    """The part of spans for which anything has been derived: an order of last year needs no day before the first."""
    # A derivation that runs just now has read the orders without these: wait for what it derives.
    for dataset in ("machine_states", "production_events"):
        locks.lock_dataset(conn, dataset)
    ranges = conn.execute(sql("select_derived_ranges"), {"machines": sorted(set(spans["machine_id"]))}).fetchall()
    limits = pd.DataFrame(ranges, columns=["machine_id", "first", "last"])
    clipped = spans.merge(limits, on="machine_id")
    clipped["starts_at"] = clipped[["starts_at", "first"]].max(axis=1)
    clipped["ends_at"] = clipped[["ends_at", "last"]].min(axis=1)
    return clipped.loc[clipped["starts_at"] <= clipped["ends_at"], ["machine_id", "starts_at", "ends_at"]]


def _is_older(order: dict[str, Any], before: dict[str, Any] | None) -> bool:
    if before is None or before["source_modified_at"] is None or order["source_modified_at"] is None:
        return False
    return bool(order["source_modified_at"] < before["source_modified_at"])


def _spans(orders: list[dict[str, Any]], now: dt.datetime) -> pd.DataFrame:
    rows = [
        (order["machine_id"], order["started_at"], max(order["ended_at"] or now, order["started_at"]))
        for order in orders
        if order["machine_id"] and order["started_at"] and order["started_at"] <= now
    ]
    return pd.DataFrame(rows, columns=["machine_id", "starts_at", "ends_at"])
