"""One hour of one machine, taken apart: everything that made its row of `oee_hourly`.

Belongs here: finding intervals, stops, counts, ideal cycles and calendar lines of an hour, and holding what they add up
to against the stored row. Does not belong here: reading tables (`ops.explain`), screens and files
(`report.explain_text`, `report.explain_csv`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import pandas as pd

from prodlytics.kpi import explain_rules as rules
from prodlytics.kpi.elements import counted_parts
from prodlytics.kpi.explain_figures import (
    RUN,
    Difference,
    add_up,
    differences,
    formulas,
    off_plan_lines,
    planned_buckets,
)
from prodlytics.kpi.explained import (
    CalendarLine,
    Count,
    CountsAs,
    Entry,
    Explanation,
    Feed,
    Interval,
    Mark,
    Restatement,
    SourceFile,
    Stop,
    StopPart,
)
from prodlytics.kpi.oee_hourly import derive_oee_hourly
from prodlytics.plant.calendar import day_hours
from prodlytics.plant.model import Convention, Machine, Plant

Row = Mapping[str, Any]


class NotInLedgerError(ValueError):
    """The ledger has nothing for the hour; the text says what to do."""


@dataclass(frozen=True)
class Background:
    """What else there is to know of an hour: what people said, where the samples came from, what changed since."""

    entries: Sequence[Entry] = ()
    feeds: Sequence[Feed] = ()
    files: Sequence[SourceFile] = ()
    restatements: Sequence[Restatement] = ()
    marks: Sequence[Mark] = ()


@dataclass(frozen=True)
class Material:
    """Tables of one machine over whole production days, as rows, ready to be looked up by the hour."""

    plant: Plant
    machine: Machine
    start: dt.datetime
    end: dt.datetime
    ledger: list[Row]
    counts: list[Row]
    plan: list[Row]
    states: list[Row]
    stops: list[Row]
    again: dict[dt.datetime, Row] = field(default_factory=dict)
    "Rows of `oee_hourly` as they would come out now, by time_bucket."


def gather(
    plant: Plant,
    machine: Machine,
    *,
    ledger: pd.DataFrame,
    events: pd.DataFrame,
    plan: pd.DataFrame,
    states: pd.DataFrame,
    stops: pd.DataFrame,
    start: dt.datetime,
    end: dt.datetime,
) -> Material:
    """Tables of one machine over [start, end), which are edges of production days.

    Args:
        plant: Ideal cycles, reasons, zone.
        machine: Whose rows these are.
        ledger: Rows of `machine_time` that start in the span.
        events: Rows of `production_events` in the span.
        plan: Rows of `plan_calendar` that touch it.
        states: Rows of `machine_states` that touch it.
        stops: Rows of `downtime_events` that touch it.
        start: Aware, included.
        end: Aware, excluded.
    """
    as_of = max(_rows(ledger[["as_of"]]), key=lambda row: row["as_of"])["as_of"] if len(ledger) else start
    parts = counted_parts(plant, machine, ledger, events, start, end) if len(ledger) else events.iloc[:0]
    known = [name for name in ("time", "event_type", "event_key", "since", "work_order") if name in events]
    if len(parts) and len(known) > 3:
        parts = parts.merge(events[known], on=["time", "event_type", "event_key"], how="left")
    again = derive_oee_hourly(plant, machine, ledger, events, start, end, as_of) if len(ledger) else ledger.iloc[:0]
    return Material(
        plant=plant,
        machine=machine,
        start=start,
        end=end,
        ledger=_rows(ledger.sort_values("starts_at")),
        counts=_rows(parts),
        plan=_rows(plan.sort_values("starts_at")),
        states=_rows(states.sort_values("starts_at")),
        stops=_rows(stops.sort_values("time_start")),
        again={row["time_bucket"]: row for row in _rows(again)},
    )


def explain(material: Material, stored: Row, background: Background | None = None) -> Explanation:
    """Everything that made one row of `oee_hourly`.

    Args:
        material: Tables over the production day of the row, or more.
        stored: The row, as a mapping of its columns; missing values None.
        background: What else is known of the hour.

    Raises:
        NotInLedgerError: `machine_time` has nothing for the hour.
    """
    plant, machine, background = material.plant, material.machine, background or Background()
    bucket = stored["time_bucket"]
    in_hour = [row for row in material.ledger if row["time_bucket"] == bucket]
    if not in_hour:
        raise NotInLedgerError(
            f"oee_hourly has a row for {machine.id} at {bucket.isoformat()}, but machine_time has nothing there: "
            f"compute the day again, with prodlytics backfill {stored['production_date']}."
        )
    starts_at, ends_at = _span(material, bucket)
    known_until = in_hour[-1]["ends_at"]
    convention = rules.convention_of(stored["convention"], plant.convention)
    intervals = tuple(_interval(material, row, convention) for row in in_hour)
    counts = tuple(_count(material, row) for row in material.counts if row["time_bucket"] == bucket)
    figures = add_up(intervals, counts, convention)
    return Explanation(
        plant=plant.plant,
        machine_id=machine.id,
        machine_name=machine.name,
        line=machine.line,
        timezone=plant.timezone,
        starts_at=starts_at,
        ends_at=ends_at,
        known_until=known_until,
        production_date=stored["production_date"],
        shifts=tuple(dict.fromkeys(row["shift"] for row in in_hour if row["shift"] is not None)),
        stored=stored,
        figures=figures,
        formulas=formulas(figures, counts, convention),
        differences=tuple(_differences(material, stored, differences(stored, figures))),
        empty=rules.why_empty(figures, known_until < ends_at),
        convention=rules.convention_words(convention),
        rework_is_good=convention.rework_is_good,
        intervals=intervals,
        calendar=tuple(_calendar_line(row) for row in _touching(material.plan, starts_at, ends_at)),
        stops=tuple(_stops(material, starts_at, known_until)),
        counts=counts,
        entries=tuple(background.entries),
        feeds=tuple(background.feeds),
        files=tuple(background.files),
        restatements=tuple(background.restatements),
        marks=tuple(background.marks),
    )


def _span(material: Material, bucket: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    """From the bucket to the end of its hour, or to the next bucket where the production date changes inside it."""
    closes = next(closes for opens, closes in day_hours(material.plant, bucket, material.end) if opens <= bucket)
    following = [row["time_bucket"] for row in material.ledger if row["time_bucket"] > bucket]
    return bucket, min([closes, *following[:1]])


def _differences(material: Material, stored: Row, found: list[Difference]) -> Iterator[Difference]:
    yield from found
    now = material.plant.convention.code
    if stored["convention"] != now:
        yield Difference("convention", stored["convention"], now)
    again = material.again.get(stored["time_bucket"])
    if again is None:
        return
    if stored["production_date"] != again["production_date"]:
        yield Difference("production_date", stored["production_date"], again["production_date"])
    if not found and stored["convention"] == now and stored["fingerprint"] != again["fingerprint"]:
        # The figures agree, yet something they were made of does not: a reason, an order, a compensating pair of edits.
        yield Difference("fingerprint", stored["fingerprint"][:12], again["fingerprint"][:12])


def _interval(material: Material, row: Row, convention: Convention) -> Interval:
    begins, ends = row["starts_at"], row["ends_at"]
    states = list(_touching(material.states, begins, ends))
    line = next(_touching(material.plan, begins, ends), None)
    stop = next(_touching(material.stops, begins, ends, "time_start", "time_end"), None)
    # The threshold of the day on which the stop begins holds for all of it.
    parts = [] if stop is None else [part for part in material.stops if part["stop_id"] == stop["stop_id"]]
    case = rules.Circumstances(
        plan=line["plan"] if line is not None else row["plan"],
        # An instant that no state covers is one nobody knows.
        state=states[0]["state"] if states else "unknown",
        said=_distinct(states, "native_state"),
        fault_codes=_distinct(states, "fault_code"),
        calendar=None if line is None else line["source"],
        stop_bucket=None if stop is None else stop["bucket"],
        reason=None if stop is None else stop["reason_detail"] or stop["reason_code"],
        reason_source=None if stop is None else stop["reason_source"],
        said_by=None if stop is None else stop["operator_id"],
        day=parts[0]["production_date"] if parts else row["production_date"],
    )
    rule, expected = rules.decide(case)
    return Interval(
        starts_at=begins,
        ends_at=ends,
        duration_us=(ends - begins) // dt.timedelta(microseconds=1),
        bucket=row["bucket"],
        counts_as=_counts_as(row["bucket"], row["plan"], convention),
        plan=row["plan"],
        shift=row["shift"],
        state=row["state"],
        said=case.said,
        fault_codes=case.fault_codes,
        reason_code=row["reason_code"],
        stop_id=row["stop_id"],
        calendar=case.calendar,
        rule=rule,
        why=rules.why(material.machine, case, rule, expected),
        expected_bucket=expected,
    )


def _counts_as(bucket: str, plan: str, convention: Convention) -> CountsAs:
    if bucket in RUN:
        return "outside" if plan in off_plan_lines(convention) else "run"
    return "lost" if bucket in planned_buckets(convention) else "outside"


def _distinct(rows: Sequence[Row], column: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(row[column] for row in rows if row[column] is not None))


def _count(material: Material, row: Row) -> Count:
    _, origin = rules.ideal_cycle(material.plant, material.machine, row["part_number"], row["production_date"])
    before = row["time"] - dt.timedelta(microseconds=1)
    state = next((line["state"] for line in material.ledger if line["starts_at"] <= before < line["ends_at"]), None)
    return Count(
        time=row["time"],
        since=row.get("since"),
        event_type=row["event_type"],
        event_key=row["event_key"],
        part_number=row["part_number"],
        work_order=row.get("work_order"),
        good=Fraction(row["good_count"]),
        reject=Fraction(row["reject_count"]),
        rework=Fraction(row["rework_count"]),
        flag=row["flag"],
        kept_out=rules.kept_out(state, row["flag"], bool(row["in_gap"]), bool(row["off_plan"])),
        ideal_cycle_ms=row["ideal_cycle_ms"],
        ideal_cycle_from=origin,
    )


def _calendar_line(row: Row) -> CalendarLine:
    return CalendarLine(
        row["starts_at"], row["ends_at"], row["plan"], row["shift"], row["production_date"], row["source"]
    )


def touching_stops(material: Material, start: dt.datetime, end: dt.datetime) -> list[Row]:
    """Parts of stops that share time with [start, end)."""
    return list(_touching(material.stops, start, end, "time_start", "time_end"))


def _stops(material: Material, start: dt.datetime, end: dt.datetime) -> Iterator[Stop]:
    """Stops that touch [start, end), each with those of its parts that lie there."""
    by_stop: dict[str, list[Row]] = {}
    for row in touching_stops(material, start, end):
        by_stop.setdefault(row["stop_id"], []).append(row)
    lost = [row for row in material.ledger if start <= row["starts_at"] < end and row["stop_id"] is not None]
    for stop_id, rows in by_stop.items():
        parts = tuple(_stop_part(row, [one for one in lost if one["stop_id"] == stop_id]) for row in rows)
        yield Stop(
            stop_id=stop_id,
            starts_at=rows[0]["stop_started_at"],
            ends_at=rows[0]["stop_ended_at"],
            in_hour_us=sum(part.in_hour_us for part in parts),
            parts=parts,
        )


def _stop_part(row: Row, lost: list[Row]) -> StopPart:
    cost = sum((_shared(one, row) for one in lost), dt.timedelta())
    return StopPart(
        starts_at=row["time_start"],
        ends_at=row["time_end"],
        bucket=row["bucket"],
        state=row["state"],
        fault_code=row["fault_code"],
        reason_code=row["reason_code"],
        reason=row["reason_detail"],
        reason_source=row["reason_source"],
        said_by=row["operator_id"],
        reason_entry=row.get("reason_entry"),
        note=row["notes"],
        in_hour_us=cost // dt.timedelta(microseconds=1),
    )


def _shared(interval: Row, part: Row) -> dt.timedelta:
    """How much of an interval of the ledger lies in a part of a stop."""
    until = interval["ends_at"] if part["time_end"] is None else min(interval["ends_at"], part["time_end"])
    shared: dt.timedelta = until - max(interval["starts_at"], part["time_start"])
    return max(shared, dt.timedelta())


def _touching(
    rows: Sequence[Row], start: dt.datetime, end: dt.datetime, first: str = "starts_at", last: str = "ends_at"
) -> Iterator[Row]:
    """Rows that share time with [start, end); one without an end still lasts."""
    return (row for row in rows if row[first] < end and (row[last] is None or row[last] > start))


def _rows(frame: pd.DataFrame) -> list[Row]:
    """Rows of a frame as mappings: missing values None, instants as datetime in UTC."""
    columns = {name: [_value(value) for value in frame[name]] for name in frame.columns}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _value(value: Any) -> Any:
    if value is None or value is pd.NaT or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    return value.item() if hasattr(value, "item") else value


def stored_rows(frame: pd.DataFrame) -> list[Row]:
    """Rows of `oee_hourly` as `explain` takes them."""
    return _rows(frame)
