"""What another system has changed or deleted since we stored it.

Belongs here: the versions of an entry, which are never overwritten here, and orders that are gone there. Does not
belong here: storing (`landed_records.py`), the cursor (`connectors.py`).
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from prodlytics.db.queries import sql
from prodlytics.formats.records import Record
from prodlytics.sources import landed_orders
from prodlytics.sources.landed_entries import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

_ENTRY_COLUMNS = [field.name for field in FIELDS]
#: When it was said, and by whom it was said to have changed, are no change of what was said.
_COMPARED = [name for name in _ENTRY_COLUMNS if name not in ("source_key", "entered_at", "why")]
_ORDER_COLUMNS = [field.name for field in landed_orders.FIELDS]


def entry_key(*parts: object) -> str:
    """A key of its parts. What follows an @ would be taken for the number of a version."""
    return "/".join(str(part).replace("%", "%25").replace("@", "%40").replace("/", "%2F") for part in parts)


def orders_gone(conn: psycopg.Connection[Any], source: str, resource: str, records: list[Record]) -> list[Record]:
    """Open orders of one list of a source that it no longer has: as cancelled ones.

    Their time of change stays: should the order come back as it was, it counts again.

    Args:
        conn: In the transaction of the pass.
        source: Who brought the orders.
        resource: By which list of its own: another one may bring others.
        records: Everything the list has.
    """
    there = {(record.sent.get("work_order"), record.sent.get("operation") or "") for record in records}
    gone = []
    for row in conn.execute(sql("select_open_orders_of"), {"source": source, "resource": resource}).fetchall():
        order = dict(zip(_ORDER_COLUMNS, row, strict=True))
        if (order["work_order"], order["operation"]) not in there:
            gone.append(Record(0, "{}", {"source_resource": resource}, {**order, "status": "cancelled"}))
    return gone


def entry_versions(
    conn: psycopg.Connection[Any], source: str, prefix: str, records: list[Record], since: dt.datetime | None,
    now: dt.datetime,
) -> list[Record]:  # fmt: skip
    """The records as versions, with an undo for each stored version that no longer holds there.

    The first version keeps its key, later ones end in `@2`, `@3`; a record that is gone is taken back, and comes as a
    version of its own should it return. A record without key is stored by its content and never compared.

    Args:
        conn: In the transaction of the pass.
        source: As entries name their source.
        prefix: With which all keys of this resource begin.
        records: What the source says now.
        since: What begins at or after this and is not among the records was deleted; None to conclude nothing.
        now: Our clock: when an undo was entered.
    """
    sound = {key: record for record in records if (key := record.values.get("source_key")) is not None}
    stored = _stored(conn, prefix, list(sound), since)
    told: list[Record] = [record for record in records if record.problem is not None]
    told += [record for record in records if record.problem is None and record.values["source_key"] is None]
    for key, record in sound.items():
        if record.problem is not None:
            continue
        told += _next_version(record, key, stored.pop(key, {}), source, now)
    mentioned = {record.sent.get("source_key") for record in records}
    if since is not None:
        gone = (versions for key, versions in stored.items() if key not in mentioned)
        told += [undo for versions in gone for undo in _undo_newest(versions, source, f"deleted in {source}", now)]
    return told


def _stored(
    conn: psycopg.Connection[Any], prefix: str, keys: list[str], since: dt.datetime | None
) -> dict[str, dict[str, dict[str, Any]]]:
    """First key to the entries of all versions, undos included, by their own keys."""
    asked = {"keys": keys, "prefix": prefix, "since": since}
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in conn.execute(sql("select_entry_versions"), asked).fetchall():
        entry = dict(zip(_ENTRY_COLUMNS, row, strict=True))
        found.setdefault(entry["source_key"].partition("@")[0], {})[entry["source_key"]] = entry
    return found


def _next_version(
    record: Record, key: str, versions: dict[str, dict[str, Any]], source: str, now: dt.datetime
) -> Iterable[Record]:
    said = [entry for entry in versions.values() if entry["kind"] != "undo"]
    if not said:
        return [record]
    newest = max(said, key=lambda entry: _number(entry["source_key"]))
    undone = {entry["undoes"] for entry in versions.values()}
    holds = newest["source_key"] not in undone
    if holds and all(newest[name] == record.values[name] for name in _COMPARED):
        # As it is stored, so that it counts as known.
        record.values.update(newest)
        return [record]
    record.values["source_key"] = f"{key}@{_number(newest['source_key']) + 1}"
    return [*_undo_newest(versions, source, f"changed in {source}", now), record]


def _undo_newest(versions: dict[str, dict[str, Any]], source: str, why: str, now: dt.datetime) -> list[Record]:
    said = [entry for entry in versions.values() if entry["kind"] != "undo"]
    undone = {entry["undoes"] for entry in versions.values()}
    holding = [entry for entry in said if entry["source_key"] not in undone]
    return [
        Record(0, "{}", {}, {
            **dict.fromkeys(_ENTRY_COLUMNS),
            "source_key": f"{entry['source_key'].partition('@')[0]}@{_number(entry['source_key'])}u",
            "kind": "undo", "undoes": entry["source_key"], "why": why, "source": source,
            "machine_id": entry["machine_id"], "starts_at": entry["starts_at"],
            "entered_by": entry["entered_by"], "entered_at": now,
        })
        for entry in holding
    ]  # fmt: skip


def _number(key: str) -> int:
    return int(key.partition("@")[2] or 1)
