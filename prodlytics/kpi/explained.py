"""What an explained hour consists of.

Belongs here: the types, and the same as plain values for JSON. Does not belong here: how they are found (`explain`),
the arithmetic (`explain_figures`), how they look on a screen (`report.explain_text`).

Times are aware and in UTC, lengths whole microseconds. Missing is None.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, Literal

from prodlytics.kpi.explain_figures import Difference, Figures, Formula

#: So many differences are told in the one sentence about them.
TOLD = 4
CountsAs = Literal["run", "lost", "outside"]


@dataclass(frozen=True)
class CalendarLine:
    """A line of the plan, whole: it may begin before the hour and end after it."""

    starts_at: dt.datetime
    ends_at: dt.datetime
    plan: str
    shift: str | None
    production_date: dt.date
    source: str


@dataclass(frozen=True)
class Interval:
    """An interval of the ledger, and why it is in its bucket.

    Attributes:
        counts_as: `run` time, planned time that is `lost`, or `outside` planned time.
        said: The controller's own words meanwhile.
        rule: Which rule decided; strongest first running, not_scheduled, break, planned_stop, unknown, stop.
        why: The same as a sentence.
        expected_bucket: What plan, states and stops give today; another one than `bucket` means that the ledger is old
            or was changed.
    """

    starts_at: dt.datetime
    ends_at: dt.datetime
    duration_us: int
    bucket: str
    counts_as: CountsAs
    plan: str
    shift: str | None
    state: str
    said: tuple[str, ...]
    fault_codes: tuple[str, ...]
    reason_code: str | None
    stop_id: str | None
    calendar: str | None
    rule: str
    why: str
    expected_bucket: str


@dataclass(frozen=True)
class StopPart:
    """A part of a stop that has one state, one fault and one reason; `in_hour_us` is what it cost this hour."""

    starts_at: dt.datetime
    ends_at: dt.datetime | None
    bucket: str
    state: str
    fault_code: str | None
    reason_code: str | None
    reason: str | None
    reason_source: str | None
    said_by: str | None
    reason_entry: str | None
    note: str | None
    in_hour_us: int


@dataclass(frozen=True)
class Stop:
    """A stop that touches the hour, with its whole span; no end while it lasts."""

    stop_id: str
    starts_at: dt.datetime
    ends_at: dt.datetime | None
    in_hour_us: int
    parts: tuple[StopPart, ...]


@dataclass(frozen=True)
class Count:
    """Parts counted at one instant.

    Attributes:
        since: The reading before: the parts were made between it and `time`.
        kept_out: Why they are outside OEE; None where they are in it.
        ideal_cycle_ms: None where nobody has said.
        ideal_cycle_from: Which setting it is.
    """

    time: dt.datetime
    since: dt.datetime | None
    event_type: str
    event_key: str
    part_number: str | None
    work_order: str | None
    good: Fraction
    reject: Fraction
    rework: Fraction
    flag: str | None
    kept_out: str | None
    ideal_cycle_ms: float | None
    ideal_cycle_from: str

    @property
    def pieces(self) -> Fraction:
        """All of them."""
        return self.good + self.reject + self.rework


@dataclass(frozen=True)
class Entry:
    """What somebody said about a span that touches the hour."""

    kind: str
    starts_at: dt.datetime
    ends_at: dt.datetime | None
    what: str
    entered_by: str
    entered_at: dt.datetime
    source: str
    source_key: str
    taken_back_by: str | None
    "Who took it back; None where it stands."
    taken_back_why: str | None


@dataclass(frozen=True)
class Feed:
    """Samples of the machine in the hour, from one source."""

    source: str
    tags: int
    samples: int
    first_at: dt.datetime
    last_at: dt.datetime
    last_stored_at: dt.datetime | None


@dataclass(frozen=True)
class SourceFile:
    """A landed file whose rows reach into the hour; it may hold other machines too."""

    name: str
    rows_stored: int
    first_time: dt.datetime
    last_time: dt.datetime
    loaded_at: dt.datetime


@dataclass(frozen=True)
class Restatement:
    """One figure of the hour that changed after the hour had been computed."""

    column: str
    old_value: float | None
    new_value: float | None
    old_revision: int
    new_revision: int
    cause: str
    restated_at: dt.datetime


@dataclass(frozen=True)
class Mark:
    """A dataset that waits to be computed again for a part of the hour."""

    dataset: str
    cause: str
    marked_at: dt.datetime


@dataclass(frozen=True)
class Explanation:
    """Everything that made one row of `oee_hourly`.

    Attributes:
        known_until: End of the last interval; before `ends_at` while the hour runs.
        stored: The row as it is in the table.
        figures: The same, added up and divided again from `intervals` and `counts`.
        formulas: With the numbers filled in.
        empty: A sentence for each ratio that has no value.
        differences: Where the stored row is not what its parts give; empty when all is well.
    """

    plant: str
    machine_id: str
    machine_name: str
    line: str
    timezone: str
    starts_at: dt.datetime
    ends_at: dt.datetime
    known_until: dt.datetime
    production_date: dt.date
    shifts: tuple[str, ...]
    stored: Mapping[str, Any]
    figures: Figures
    formulas: tuple[Formula, ...]
    differences: tuple[Difference, ...]
    empty: tuple[str, ...]
    convention: tuple[str, ...]
    rework_is_good: bool
    intervals: tuple[Interval, ...]
    calendar: tuple[CalendarLine, ...]
    stops: tuple[Stop, ...]
    counts: tuple[Count, ...]
    entries: tuple[Entry, ...]
    feeds: tuple[Feed, ...]
    files: tuple[SourceFile, ...]
    restatements: tuple[Restatement, ...]
    marks: tuple[Mark, ...]

    @property
    def verdict(self) -> str | None:
        """What is wrong with the stored row, in one sentence; None when it is what its parts give."""
        if not self.differences:
            return None
        told = "; ".join(difference.as_text() for difference in self.differences[:TOLD])
        more = len(self.differences) - TOLD
        told += f"; and {more} more" if more > 0 else ""
        why = (
            f"it waits to be computed again ({self.marks[0].cause})"
            if self.marks
            else "no mark says that it has to be computed again: something it is made of, or the row, was changed"
        )
        return f"The stored row is not what its parts give: {told}. {why[0].upper()}{why[1:]}."

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: times as ISO 8601 in UTC, exact fractions as numbers."""
        plain = _plain(asdict(self))
        assert isinstance(plain, dict)
        return {**plain, "verdict": self.verdict}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, Fraction):
        return int(value) if value.denominator == 1 else float(value)
    return value
