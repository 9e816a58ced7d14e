"""What the raw files say, counted row by row with nothing but Python: no pandas, no database, nothing of the product.

Belongs here: one function per question and set. Does not belong here: asking the product the same.

Time is counted in whole microseconds. A production day is the span between two boundaries of the plant's wall clock;
the zone database says when those are.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)
DAY = dt.timedelta(days=1)

#: Native state (None: nobody knows) from one instant to another, both in microseconds since 1970.
Span = tuple[int, int, str | None]
#: Production date and state to microseconds.
Hours = Counter[tuple[dt.date, str | None]]


@dataclass(frozen=True)
class Clock:
    """A plant's wall clock."""

    zone: ZoneInfo
    boundary: dt.time = dt.time()

    def day(self, instant: int) -> dt.date:
        """The production date of an instant."""
        local = (EPOCH + instant * MICROSECOND).astimezone(self.zone)
        return local.date() if local.time() >= self.boundary else local.date() - DAY

    def opens(self, date: dt.date) -> int:
        """When a production day begins."""
        return microseconds(dt.datetime.combine(date, self.boundary, self.zone))

    def hours(self, spans: Iterable[Span], first: dt.date, last: dt.date) -> Hours:
        """Time in each state on each day of [first, last]; what no span covers is in no state."""
        found: Hours = Counter()
        for start, end, state in spans:
            while start < end:
                date = self.day(start)
                until = min(end, self.opens(date + DAY))
                if first <= date <= last:
                    found[date, state] += until - start
                start = until
        for date in days(first, last):
            said = sum(time for (day, _), time in found.items() if day == date)
            if said < self.opens(date + DAY) - self.opens(date):
                found[date, None] += self.opens(date + DAY) - self.opens(date) - said
        return found


def microseconds(instant: dt.datetime) -> int:
    return (instant - EPOCH) // MICROSECOND


def days(first: dt.date, last: dt.date) -> Iterator[dt.date]:
    while first <= last:
        yield first
        first += DAY


def text_lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        for line in lines:
            yield line.rstrip("\n")


# ---- Mazak01 -------------------------------------------------------------------------------------------------------


def mazak_rows(path: Path) -> Iterator[list[str]]:
    """Fields of each line: time, key, value, and for conditions native code, severity, qualifier, text."""
    for line in text_lines(path):
        yield line.split("|")


def mazak_states(path: Path, until: int) -> list[Span]:
    """Each execution state holds until the next; of two with the same time the one further down in the file counts."""
    said: dict[int, str] = {}
    for time, key, value, *_ in mazak_rows(path):
        if key == "execution":
            said[microseconds(dt.datetime.fromisoformat(time))] = value
    changes = [*sorted(said.items()), (until, "")]
    return [(start, end, state) for (start, state), (end, _) in pairwise(changes)]


def mazak_parts(path: Path, clock: Clock) -> Counter[dt.date]:
    """Parts by day: how far the counter rose, or what it shows after it was set back."""
    made: Counter[dt.date] = Counter()
    before: int | None = None
    for time, key, value, *_ in mazak_rows(path):
        if key == "PartCountAct" and value.isdigit():
            now = int(value)
            if before is not None:
                made[clock.day(microseconds(dt.datetime.fromisoformat(time)))] += now - before if now >= before else now
            before = now
    return made


def mazak_alarms(path: Path) -> list[tuple[int, str, str]]:
    """Time, condition and native code of each alarm.

    A condition that was not there begins, or changes its level. Normal or Unavailable with a code ends that one,
    without a code all of the key.
    """
    active: dict[str, dict[str, str]] = {}
    alarms = []
    for time, key, level, *rest in mazak_rows(path):
        if not rest:
            continue
        code, conditions = rest[0], active.setdefault(key, {})
        if level in ("Normal", "Unavailable"):
            if code:
                conditions.pop(code, None)
            else:
                conditions.clear()
        elif conditions.get(code) != level:
            conditions[code] = level
            alarms.append((microseconds(dt.datetime.fromisoformat(time)), key, code))
    return alarms


# ---- SME -----------------------------------------------------------------------------------------------------------


def sme_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def sme_states(path: Path) -> list[Span]:
    """A row speaks of the seconds before it; where two speak of the same second the later row is right."""
    spans: list[Span] = []
    taken: int | None = None
    for row in sorted(sme_rows(path), key=lambda row: dt.datetime.fromisoformat(row["ts"]), reverse=True):
        end = microseconds(dt.datetime.fromisoformat(row["ts"]))
        start = end - round(float(row["status_time"]) * 1_000_000)
        spans.append((start, end if taken is None else min(end, taken), str(int(float(row["status"])))))
        taken = start if taken is None else min(start, taken)
    return [span for span in spans if span[0] < span[1]]


def sme_items(path: Path, clock: Clock) -> Counter[dt.date]:
    """Items by the day of the row that tells of them."""
    made: Counter[dt.date] = Counter()
    for row in sme_rows(path):
        made[clock.day(microseconds(dt.datetime.fromisoformat(row["ts"])))] += int(float(row["items"]))
    return made


def sme_alarms(path: Path) -> list[int]:
    """When the alarm code became another one that is not 0."""
    alarms, before = [], "0"
    for row in sme_rows(path):
        if row["alarm"] != before and row["alarm"] != "0":
            alarms.append(microseconds(dt.datetime.fromisoformat(row["ts"])))
        before = row["alarm"]
    return alarms


# ---- job shop ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Booking:
    """One line of the log."""

    activity: str
    order: str
    start: int
    end: int
    completed: int
    rejected: int
    rework: int


def bookings(path: Path, zone: ZoneInfo) -> tuple[list[Booking], int]:
    """All work that was booked, and how many lines are marks of the log (`Start`, `End`)."""
    found, marks = [], 0
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["Activity"] in ("Start", "End"):
                marks += 1
                continue
            start, end = (
                microseconds(dt.datetime.strptime(row[name], "%Y/%m/%d %H:%M:%S.%f").replace(tzinfo=zone))
                for name in ("Start Timestamp", "Complete Timestamp")
            )
            counts = (int(row[name]) for name in ("Qty_Completed", "Qty_Rejected", "Qty_for_MRB"))
            found.append(Booking(row["Activity"], row["Case ID"], start, end, *counts))
    return found, marks


def running_spans(booked: Iterable[Booking], centre_of: Mapping[str, str]) -> dict[str, list[Span]]:
    """When each work centre ran: whenever at least one booking says so."""
    by_centre: dict[str, list[tuple[int, int]]] = {}
    for one in booked:
        by_centre.setdefault(centre_of[one.activity], []).append((one.start, one.end))
    union: dict[str, list[Span]] = {}
    for centre, spans in by_centre.items():
        merged: list[tuple[int, int]] = []
        for start, end in sorted(spans):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        union[centre] = [(start, end, "running") for start, end in merged]
    return union
