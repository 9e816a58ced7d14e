"""What people said, from files: reasons, splits and merges of stops, scrap, bookings, notes, undoing.

Belongs here: which entries are sound, storing each once, and what has to be derived anew. The table only grows: an
entry with a known key and another content is set aside, since a correction is an entry of its own.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Any

import pandas as pd

from prodlytics.datasets.fields import ENTRY_KINDS, MEASURES
from prodlytics.db import dirty
from prodlytics.db.queries import sql
from prodlytics.formats.judge import FUTURE_SLACK
from prodlytics.formats.records import Record, RecordField
from prodlytics.kpi.entries import ABOUT_STOPS, PERSONS, SYSTEMS

if TYPE_CHECKING:
    import psycopg

    from prodlytics.plant.model import LandingFormat, Plant

FIELDS = (
    RecordField("source_key"),
    RecordField("machine_id", required=True),
    RecordField("kind", required=True),
    RecordField("starts_at", "time", required=True),
    RecordField("ends_at", "time"),
    RecordField("reason_code"),
    RecordField("quantity", "number"),
    RecordField("reject_quantity", "number"),
    RecordField("rework_quantity", "number"),
    RecordField("part_number"),
    RecordField("work_order"),
    RecordField("scrap_category"),
    RecordField("scrap_reason"),
    RecordField("note"),
    RecordField("why"),
    RecordField("undoes"),
    RecordField("entered_by", required=True),
    RecordField("entered_at", "time", required=True),
    RecordField("measure"),
    RecordField("figure", "number"),
    RecordField("source"),
)
_COMPARED = [field.name for field in FIELDS if field.name != "source_key"]
#: The identity of an entry without a key: not who passed it on.
_SAID = [name for name in _COMPARED if name not in ("source", "measure", "figure")]
#: What figures say besides.
_OF_FIGURES = ("measure", "figure")
_CHANGED_BY = {
    **dict.fromkeys(ABOUT_STOPS, ("data_quality", "downtime_events")),
    "scrap": ("scrap_events", "reconciliation"),
    "figure": ("reconciliation",),
    "note": (),
}
_ALL = ("data_quality", "downtime_events", "machine_states", "production_events", "reconciliation", "scrap_events")


def check(record: Record, plant: Plant, form: LandingFormat, now: dt.datetime) -> None:
    """Refuse an entry that says nothing usable; the record is told why."""
    entry = record.values
    kind = entry["kind"] = entry["kind"].lower()
    if kind not in ENTRY_KINDS:
        record.refuse("bad_kind", f"{kind!r} is not one of {', '.join(ENTRY_KINDS)}")
    _check_source(record)
    _check_times(record, now)
    _check_figure(record)
    needed = {"reason": "reason_code", "scrap": "quantity", "undo": "undoes"}.get(kind)
    if needed is not None and not entry[needed]:
        record.refuse("missing_field", f"an entry of kind {kind} needs {needed}")
    reason = entry["reason_code"]
    if reason is not None and plant.reason_category(reason) is None:
        record.refuse("unknown_reason_code", f"{reason!r} is not among the reasons in plant.yaml")
    category = entry["scrap_category"]
    known = [one.code for one in plant.scrap_categories]
    if category is not None and category not in known:
        record.refuse("unknown_scrap_category", f"{category!r} is not among the scrap_categories in plant.yaml")


def _check_source(record: Record) -> None:
    """Who says so decides who overrules whom: nobody is guessed, and a file that does not say it is from people."""
    entry = record.values
    source = entry["source"] = (entry["source"] or PERSONS[0]).lower()
    if source not in (*PERSONS, *SYSTEMS):
        record.refuse(
            "unknown_source",
            f"{source!r} is not one of {', '.join(PERSONS)} (people) or {', '.join(SYSTEMS)} (systems)",
        )
    if entry["undoes"] is not None and entry["undoes"] == entry["source_key"]:
        record.refuse("undoes_itself", f"entry {entry['undoes']} takes itself back")


def _check_figure(record: Record) -> None:
    """A figure says what it measures; what is no figure has neither."""
    entry = record.values
    if entry["kind"] != "figure":
        for name in _OF_FIGURES:
            if entry[name] is not None:
                record.refuse("not_a_figure", f"{name} is for entries of kind figure, not {entry['kind']}")
        return
    if entry["measure"] not in MEASURES:
        record.refuse("unknown_measure", f"{entry['measure']!r} is not one of {', '.join(MEASURES)}")
    if entry["figure"] is None:
        record.refuse("missing_field", "an entry of kind figure needs figure")
    elif entry["measure"] in ("oee", "availability", "performance", "quality") and entry["figure"] > 2:
        record.refuse("not_a_ratio", f"{entry['figure']} is no {entry['measure']}: write 0.615 for 61.5 %")


def _check_times(record: Record, now: dt.datetime) -> None:
    entry = record.values
    starts, ends = entry["starts_at"], entry["ends_at"]
    if ends is not None and (ends < starts or (ends == starts and entry["kind"] != "production")):
        record.refuse("ends_before_start", f"the span ends at {ends:%Y-%m-%dT%H:%M:%SZ}, not after its start")
    if starts > now + FUTURE_SLACK:
        record.refuse("future_time", f"{starts:%Y-%m-%dT%H:%M:%SZ} is more than a day ahead of our clock")


def store(
    conn: psycopg.Connection[Any],
    plant: Plant,
    records: list[Record],
    form: LandingFormat,
    cause: str,
    now: dt.datetime,
) -> int:
    """Store the entries that are new and mark what they change; the others are left to be counted as duplicates."""
    _give_keys(records, form)
    keys = [record.values["source_key"] for record in records]
    with conn.cursor() as cursor:
        known = {row[0]: row[1:] for row in cursor.execute(sql("select_known_entries"), {"keys": keys})}
        new = []
        for record in records:
            content = tuple(record.values[name] for name in _COMPARED)
            key = record.values["source_key"]
            if key not in known:
                known[key] = content
                new.append(record.values)
            elif not _same(known[key], content):
                record.refuse(
                    "changed_entry",
                    f"entry {key} is stored with another content: what people said is never changed, write an entry of "
                    "kind undo and a new one",
                )
        if new:
            cursor.executemany(sql("insert_entry"), new)
    _mark(conn, plant, new, cause)
    return len(new)


def _same(stored: tuple[Any, ...], sent: tuple[Any, ...]) -> bool:
    """Whether two versions of an entry say the same; earlier releases stored the name of the format as its source."""
    return stored[:-1] == sent[:-1] and (stored[-1] == sent[-1] or stored[-1] not in (*PERSONS, *SYSTEMS))


def _give_keys(records: list[Record], form: LandingFormat) -> None:
    """A key for entries that bring none: their content, and which of several equal ones it is."""
    seen: Counter[str] = Counter()
    for record in records:
        if record.values["source_key"] is None:
            names = [*_SAID, *(_OF_FIGURES if record.values["kind"] == "figure" else ())]
            content = "\x1f".join(str(record.values[name]) for name in names)
            digest = hashlib.sha256(content.encode("utf-8")).hexdigest()[:24]
            seen[digest] += 1
            record.values["source_key"] = f"{form.name}:{digest}:{seen[digest]}"


def _mark(conn: psycopg.Connection[Any], plant: Plant, new: list[dict[str, Any]], cause: str) -> None:
    """Ask for what the new entries change, and what the undos among them take back or give back."""
    undone = [entry["undoes"] for entry in new if entry["kind"] == "undo"]
    spans = [(entry["kind"], entry["machine_id"], entry["starts_at"], entry["ends_at"]) for entry in new]
    spans = [span for span in spans if span[0] != "undo"]
    if undone:
        spans += conn.execute(sql("select_undone_spans"), {"keys": undone}).fetchall()
    # Where nobody but people says when a machine ran, a reason says when it did not.
    by_hand = {machine.id for machine in plant.machines if machine.state.source == "operator"}
    groups: dict[tuple[str, ...], list[tuple[str, dt.datetime, dt.datetime]]] = {}
    for kind, machine, starts, ends in spans:
        more = ("machine_states",) if kind == "reason" and machine in by_hand else ()
        again = (*_CHANGED_BY.get(kind, _ALL), *more, "archive/operator_entries")
        groups.setdefault(again, []).append((machine, starts, ends or starts))
    for again in sorted(groups):
        frame = pd.DataFrame(groups[again], columns=["machine_id", "starts_at", "ends_at"])
        dirty.mark_spans(conn, again, frame, cause)
