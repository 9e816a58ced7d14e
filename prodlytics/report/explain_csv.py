"""A machine's production day as CSV, to add up in a spreadsheet.

Belongs here: which columns a row has and how each is written. Does not belong here: what made the numbers
(`kpi.explain`).

One row per interval of the ledger and per count, and one per hour with what the table holds; `record` says which.
Per `hour_utc`, over all rows (empty cells count as nothing):

    planned time = SUM(planned_us)        run time = SUM(run_us)        each bucket = SUM(duration_us) of its rows
    ideal time   = SUM(ideal_us)          ideal time of good parts = SUM(ideal_good_us)
    availability = run / planned   performance = ideal / run   quality = ideal_good / ideal   OEE = ideal_good / planned

Parts outside OEE are in the gap columns and have no ideal time. Parts in OEE without ideal cycle have an empty
`ideal_us`: then performance and OEE of that hour are empty too.

A spreadsheet runs what begins with = + - @ as a formula: such a text (and one that begins with an apostrophe) gets an
apostrophe in front. A program takes exactly one off. Numbers have none. A record is one line: line breaks and other
control characters that people typed are blanks.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from prodlytics.kpi.explained import Count, Explanation, Interval

COLUMNS = (
    "record", "machine_id", "production_date", "hour", "hour_utc", "starts_at", "ends_at", "starts_at_utc",
    "ends_at_utc", "duration_us", "planned_us", "run_us", "bucket", "plan", "shift", "state", "native_state",
    "fault_code", "rule", "why", "calendar", "reason_code", "reason", "reason_source", "said_by", "note", "stop_id",
    "stop_started_at_utc", "stop_ended_at_utc", "event_type", "event_key", "since_utc", "part_number", "work_order",
    "good_count", "reject_count", "rework_count", "gap_good_count", "gap_reject_count", "flag", "kept_out",
    "ideal_cycle_ms", "ideal_cycle_from", "ideal_us", "ideal_good_us", "availability", "performance", "quality", "oee",
    "null_reason", "planned_time_us", "run_time_us", "ideal_time_us", "ideal_good_time_us", "revision", "convention",
    "as_of_utc", "fingerprint", "differs",
)  # fmt: skip
#: What makes a spreadsheet take a cell for a formula; the apostrophe, so that taking one off gives the text back.
_DANGEROUS = ("=", "+", "-", "@", "'")
_STORED = ("availability", "performance", "quality", "oee", "null_reason", "planned_time_us", "run_time_us",
           "ideal_time_us", "ideal_good_time_us", "revision", "convention", "fingerprint")  # fmt: skip


def day_as_csv(explanations: Iterable[Explanation]) -> str:
    """The hours of a day with header, in order of time; times with offset and in UTC.

    Args:
        explanations: All hours of one machine and production date.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for one in explanations:
        common = _common(one)
        for row in (_hour(one), *(_interval(one, i) for i in one.intervals), *(_count(one, c) for c in one.counts)):
            writer.writerow({name: _cell(value) for name, value in {**common, **row}.items()})
    return out.getvalue()


def _common(one: Explanation) -> dict[str, Any]:
    return {
        "machine_id": one.machine_id,
        "production_date": one.production_date,
        "hour": _local(one, one.starts_at),
        "hour_utc": one.starts_at,
    }


def _hour(one: Explanation) -> dict[str, Any]:
    return {
        "record": "hour",
        **_times(one, one.starts_at, one.ends_at),
        **{name: one.stored.get(name) for name in _STORED},
        "as_of_utc": one.stored["as_of"],
        "differs": "; ".join(difference.as_text() for difference in one.differences),
    }


def _interval(one: Explanation, interval: Interval) -> dict[str, Any]:
    stop = next((stop for stop in one.stops if stop.stop_id == interval.stop_id), None)
    parts = [] if stop is None else [part for part in stop.parts if part.starts_at <= interval.starts_at]
    said: Mapping[str, Any] = {}
    if stop is not None and parts:
        part = parts[-1]
        said = {
            "reason": part.reason,
            "reason_source": part.reason_source,
            "said_by": part.said_by,
            "note": part.note,
            "stop_started_at_utc": stop.starts_at,
            "stop_ended_at_utc": stop.ends_at,
        }
    return {
        "record": "interval",
        **_times(one, interval.starts_at, interval.ends_at),
        "duration_us": interval.duration_us,
        "planned_us": 0 if interval.counts_as == "outside" else interval.duration_us,
        "run_us": interval.duration_us if interval.counts_as == "run" else 0,
        "bucket": interval.bucket,
        "plan": interval.plan,
        "shift": interval.shift,
        "state": interval.state,
        "native_state": ", ".join(interval.said),
        "fault_code": ", ".join(interval.fault_codes),
        "rule": interval.rule,
        "why": interval.why,
        "calendar": interval.calendar,
        "reason_code": interval.reason_code,
        "stop_id": interval.stop_id,
        **said,
    }


def _count(one: Explanation, count: Count) -> dict[str, Any]:
    inside = count.kept_out is None
    cycle = None if count.ideal_cycle_ms is None or not inside else Fraction(count.ideal_cycle_ms) * 1000
    right = count.good + count.rework if one.rework_is_good else count.good
    nothing = Fraction(0)
    return {
        "record": "count",
        **_times(one, count.time, None),
        "event_type": count.event_type,
        "event_key": count.event_key,
        "since_utc": count.since,
        "part_number": count.part_number,
        "work_order": count.work_order,
        "good_count": count.good if inside else nothing,
        "reject_count": count.reject if inside else nothing,
        "rework_count": count.rework if inside else nothing,
        "gap_good_count": nothing if inside else count.good,
        "gap_reject_count": nothing if inside else count.reject + count.rework,
        "flag": count.flag,
        "kept_out": count.kept_out,
        "ideal_cycle_ms": count.ideal_cycle_ms,
        "ideal_cycle_from": count.ideal_cycle_from,
        "ideal_us": nothing if not inside else None if cycle is None else count.pieces * cycle,
        # No good part takes no time, whatever its ideal cycle.
        "ideal_good_us": nothing if not inside or not right else None if cycle is None else right * cycle,
    }


def _times(one: Explanation, starts_at: dt.datetime, ends_at: dt.datetime | None) -> dict[str, Any]:
    return {
        "starts_at": _local(one, starts_at),
        "starts_at_utc": starts_at,
        **({} if ends_at is None else {"ends_at": _local(one, ends_at), "ends_at_utc": ends_at}),
    }


def _local(one: Explanation, instant: dt.datetime) -> dt.datetime:
    return instant.astimezone(ZoneInfo(one.timezone))


def _cell(value: Any) -> str:
    """One cell: numbers with all their digits, times as ISO 8601, text that is never a formula."""
    if value is None:
        return ""
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, Fraction):
        return str(value.numerator) if value.denominator == 1 else _decimal(float(value))
    if isinstance(value, float):
        return _decimal(value)
    if not isinstance(value, str):
        return str(value)
    text = "".join(one if one.isprintable() else " " for one in value)
    return f"'{text}" if text.lstrip().startswith(_DANGEROUS) else text


def _decimal(value: float) -> str:
    """The shortest text that reads back as the same number, without an exponent."""
    return f"{Decimal(repr(value)):f}"
