"""An explained hour as text, for a terminal or a pipe.

Belongs here: tables and sentences of `prodlytics explain`. Does not belong here: what made the number (`kpi.explain`),
Markdown for Dagster (`explain_markdown`), the file for a spreadsheet (`explain_csv`).

What people typed is shown as it is: never read as markup, and without control characters.
"""

from __future__ import annotations

import datetime as dt
import io
import re
import shutil
import textwrap
from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction
from typing import Literal, TextIO
from zoneinfo import ZoneInfo

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from prodlytics.kpi.explain_figures import BUCKETS, decimal, label, pieces, seconds, shown
from prodlytics.kpi.explained import TOLD, Count, Explanation, Restatement, Stop
from prodlytics.report.words import long_date

#: Width without a terminal, e.g. in a pipe or a mail.
WIDTH = 100
#: Below this the last column of a table has no room left.
NARROW = 96
_COUNTS_AS = {"run": "run time", "lost": "lost", "outside": "outside"}
_STYLE = {"run": "green", "lost": "red", "outside": "dim"}
_EVENTS = {"cycle_complete": "good", "reject": "rejected", "rework": "for rework"}


class Clock:
    """Instants as wall time of the plant; with the name of the offset in an hour in which the clocks change."""

    def __init__(self, explanation: Explanation) -> None:
        self.zone = ZoneInfo(explanation.timezone)
        first, last = (at.astimezone(self.zone) for at in (explanation.starts_at, explanation.ends_at))
        self.day = first.date()
        self.changes = first.utcoffset() != last.utcoffset()

    def time(self, instant: dt.datetime) -> str:
        """E.g. 10:12:30; with thousandths or millionths where there are some."""
        local = instant.astimezone(self.zone)
        fraction = f"{local.microsecond:06d}"
        decimals = "" if fraction == "000000" else "." + (fraction[:3] if fraction.endswith("000") else fraction)
        return f"{local:%H:%M:%S}{decimals}" + (f" {local:%Z}" if self.changes else "")

    def on_day(self, instant: dt.datetime) -> str:
        """The time, with its date where that is another day than the hour's."""
        local = instant.astimezone(self.zone)
        return self.time(instant) if local.date() == self.day else f"{local:%Y-%m-%d} {self.time(instant)}"

    def full(self, instant: dt.datetime) -> str:
        """Date, hours and minutes."""
        return f"{instant.astimezone(self.zone):%Y-%m-%d %H:%M}"

    def short(self, instant: dt.datetime) -> str:
        """Hours and minutes."""
        local = instant.astimezone(self.zone)
        return f"{local:%H:%M %Z}" if self.changes else f"{local:%H:%M}"

    def offset(self, instant: dt.datetime) -> str:
        """E.g. CST, UTC-06:00."""
        local = instant.astimezone(self.zone)
        return f"{local:%Z}, UTC{local.isoformat()[-6:]}"


def clean(text: object) -> str:
    """Text without characters that would do something to a terminal."""
    return "".join(one if one.isprintable() else " " for one in str(text))


def as_text(explanation: Explanation, *, width: int = WIDTH, colours: bool = False) -> str:
    """The whole explanation.

    Args:
        explanation: The hour.
        width: Characters in a line.
        colours: Whether to write what a terminal shows as colours.
    """
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=colours, highlight=False, legacy_windows=False)
    for part in _parts(explanation, width):
        console.print(part)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    # A rule of plain hyphens can be written in every encoding.
    return "\n".join(lines).replace("─", "-") + "\n"


def terminal_width(stream: TextIO) -> int:
    """Characters in a line of the terminal behind a stream; `WIDTH` in a pipe."""
    return max(shutil.get_terminal_size((WIDTH, 0)).columns, 60) if stream.isatty() else WIDTH


def _parts(one: Explanation, width: int) -> Iterable[Text | Table | Padding]:
    clock = Clock(one)
    yield from _head(one, clock)
    yield Text("")
    yield _line("How it is computed", "bold")
    yield from _formulas(one, width)
    for sentence in one.empty:
        yield _line(sentence)
    yield from _section("Where the hour went, interval by interval", _intervals(one, clock, width))
    yield _line(_bucket_sums(one))
    yield from _section("The plan", _calendar(one, clock))
    yield from _section("Stops, whole, as far as they touch this hour", _stops(one.stops, clock), one.stops)
    yield from _section("Parts counted", _counts(one.counts, clock), one.counts, "No part was counted in this hour.")
    yield from _kept_out(one.counts, clock)
    yield from _section("What people said", _entries(one, clock), one.entries)
    yield from _sources(one, clock)
    yield from _revisions(one, clock)


def _line(text: str, style: str = "") -> Text:
    return Text(clean(text), style=style)


def _section(title: str, table: Table, rows: object = True, otherwise: str = "") -> Iterable[Text | Table | Padding]:
    if not rows and not otherwise:
        return
    yield Text("")
    yield _line(title, "bold")
    yield Padding(table, (0, 0, 0, 0)) if rows else _line(otherwise)


def _table(*columns: str, right: Iterable[str] = (), whole: Iterable[str] = ()) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    for column in columns:
        side: Literal["left", "right"] = "right" if column in right else "left"
        table.add_column(column, justify=side, no_wrap=column in whole, overflow="fold")
    return table


def _add(table: Table, *cells: object, style: str = "") -> None:
    table.add_row(*(Text(clean("" if cell is None else cell)) for cell in cells), style=style)


def _head(one: Explanation, clock: Clock) -> Iterable[Text]:
    day = long_date(clock.day)
    yield _line(
        f"{one.machine_id} ({one.machine_name}, {one.line}), {day}, "
        f"{clock.short(one.starts_at)} to {clock.short(one.ends_at)} ({clock.offset(one.starts_at)})",
        "bold",
    )
    shifts = ", ".join(one.shifts) or "outside any shift"
    yield _line(f"Production day {one.production_date}, {shifts}.")
    if one.ends_at - one.starts_at < dt.timedelta(hours=1):
        yield _line("Less than an hour: the production date changes inside it, and each part has a row of its own.")
    if one.known_until < one.ends_at:
        yield _line(f"Told until {clock.time(one.known_until)} so far: the figures of this hour still grow.")
    stored = one.stored
    ratios = ", ".join(f"{name} {shown(name, stored[name])}" for name in ("availability", "performance", "quality"))
    yield _line(f"OEE {shown('oee', stored['oee'])}  ({ratios})", "bold")
    if one.verdict:
        yield Text("")
        yield _line(one.verdict, "bold red")
        for difference in one.differences[TOLD:]:
            yield _line(f"  {difference.as_text()}", "red")
        yield _line(f"  Compute the day again: prodlytics backfill {one.production_date}", "red")
    odd = [interval for interval in one.intervals if interval.expected_bucket != interval.bucket]
    for interval in odd[:3]:
        yield _line(
            f"The ledger has {clock.time(interval.starts_at)} to {clock.time(interval.ends_at)} as "
            f"{label(interval.bucket)}, but plan, states and stops now say {label(interval.expected_bucket)}.",
            "bold red",
        )


def _formulas(one: Explanation, width: int) -> Iterable[Text]:
    name_width = max(len(formula.name) for formula in one.formulas)
    for formula in one.formulas:
        rule = f"{formula.rule} = " if formula.rule else ""
        line = f"{formula.name.ljust(name_width)} = {rule}{formula.filled_in} = {formula.result}"
        # What does not fit continues below the numbers, so that the names stand out; a number keeps its unit.
        line = re.sub(r"(\d) ([s%])", "\\1\u00a0\\2", clean(line))
        for part in textwrap.wrap(line, width, subsequent_indent=" " * (name_width + 3)):
            yield Text(part.replace("\u00a0", " "))


def _intervals(one: Explanation, clock: Clock, width: int) -> Table:
    # In a narrow terminal an interval ends where the next begins.
    ends = ("to",) if width >= NARROW else ()
    figures = ("seconds", "bucket", "in OEE")
    table = _table("from", *ends, *figures, "why", right=["seconds"], whole=["from", "to", *figures])
    for interval in one.intervals:
        _add(
            table,
            clock.time(interval.starts_at),
            *(clock.time(interval.ends_at) for _ in ends),
            _number(interval.duration_us),
            label(interval.bucket),
            _COUNTS_AS[interval.counts_as],
            interval.why,
            style=_STYLE[interval.counts_as],
        )
    return table


def _number(microseconds: int) -> str:
    return decimal(Fraction(microseconds) / 1_000_000, 6)


def _bucket_sums(one: Explanation) -> str:
    used = [bucket for bucket in BUCKETS if one.figures.buckets_us[bucket]]
    total = sum(one.figures.buckets_us.values())
    sums = " + ".join(f"{label(bucket)} {seconds(one.figures.buckets_us[bucket])}" for bucket in used)
    return f"Sum: {sums} = {seconds(total)}."


def _calendar(one: Explanation, clock: Clock) -> Table:
    table = _table("from", "to", "plan", "shift", "day", "because of", whole=["from", "to", "plan", "day"])
    for line in one.calendar:
        _add(table, clock.on_day(line.starts_at), clock.on_day(line.ends_at), label(line.plan), line.shift or "-",
             line.production_date, line.source)  # fmt: skip
    return table


def _stops(stops: Iterable[Stop], clock: Clock) -> Table:
    """Each stop as a whole, a line for each reason it has in this hour."""
    table = _table("stop from", "to", "cost here", "bucket", "reason", "who said so", right=["cost here"],
                   whole=["stop from", "to", "cost here"])  # fmt: skip
    for stop in stops:
        span = clock.on_day(stop.starts_at), "still lasts" if stop.ends_at is None else clock.on_day(stop.ends_at)
        cost: dict[tuple[str, str, str], int] = defaultdict(int)
        for part in stop.parts:
            reason = _noted(part.reason or part.reason_code or "nobody said", part.note)
            said_by = _said_by(part.reason_source, part.said_by, part.fault_code)
            cost[label(part.bucket), reason, said_by] += part.in_hour_us
        for (bucket, reason, said_by), us in cost.items():
            _add(table, *span, seconds(us), bucket, reason, said_by)
            span = "", ""
    return table


def _noted(reason: str, note: str | None) -> str:
    return reason if not note or note == reason else f"{reason} ({note})"


def _said_by(source: str | None, who: str | None, fault: str | None) -> str:
    if source is None:
        return "-"
    return f"fault code {fault}" if source == "fault_code" else f"{source} {who or ''}".rstrip()


def _counts(counts: Iterable[Count], clock: Clock) -> Table:
    """Counts of one kind together: part, kind, ideal cycle and whether they are in OEE."""
    table = _table("part", "pieces", "kind", "readings", "from", "to", "in OEE", "ideal cycle",
                   right=["pieces", "readings"], whole=["pieces", "readings", "from", "to"])  # fmt: skip
    for group in _alike(counts):
        first = group[0]
        cycle = "none" if first.ideal_cycle_ms is None else seconds(Fraction(first.ideal_cycle_ms) * 1000)
        _add(table, first.part_number or "nobody said", _pieces(group), _kind(first), len(group),
             clock.time(first.time), clock.time(group[-1].time), "no" if first.kept_out else "yes",
             f"{cycle} ({first.ideal_cycle_from})")  # fmt: skip
    return table


def _kept_out(counts: Iterable[Count], clock: Clock) -> Iterable[Text]:
    """A sentence for each kind of parts that are outside OEE."""
    for group in _alike(counts):
        first = group[0]
        if first.kept_out is not None:
            began = clock.on_day(first.since) if first.since is not None else "an unknown time"
            what = f"{_pieces(group)} {_kind(first)} {first.part_number or ''}".rstrip()
            until = clock.time(group[-1].time)
            yield _line(f"Kept out of OEE: {what}, made between {began} and {until}; {first.kept_out}.")


def _alike(counts: Iterable[Count]) -> Iterable[list[Count]]:
    groups: dict[tuple[object, ...], list[Count]] = defaultdict(list)
    for count in counts:
        groups[count.part_number, count.event_type, count.ideal_cycle_ms, count.ideal_cycle_from, count.flag,
               count.kept_out].append(count)  # fmt: skip
    return groups.values()


def _pieces(group: Iterable[Count]) -> str:
    return pieces(sum((one.pieces for one in group), Fraction(0)))


def _kind(count: Count) -> str:
    return _EVENTS.get(count.event_type, count.event_type) + (f", {count.flag}" if count.flag else "")


def _entries(one: Explanation, clock: Clock) -> Table:
    table = _table("about", "what", "entered by", "entered at", "source", whole=["about", "entered at"])
    for entry in one.entries:
        until = "" if entry.ends_at is None else f" to {clock.on_day(entry.ends_at)}"
        undone = ""
        if entry.taken_back_by:
            because = f": {entry.taken_back_why}" if entry.taken_back_why else ""
            undone = f" (taken back by {entry.taken_back_by}{because})"
        what = f"{entry.kind}: {entry.what}{undone}"
        _add(table, clock.on_day(entry.starts_at) + until, what, entry.entered_by, clock.on_day(entry.entered_at),
             entry.source)  # fmt: skip
    return table


def _sources(one: Explanation, clock: Clock) -> Iterable[Text]:
    yield Text("")
    yield _line("Where the samples came from", "bold")
    for feed in one.feeds:
        stored = "" if feed.last_stored_at is None else f", the last one stored at {clock.full(feed.last_stored_at)}"
        yield _line(
            f"{feed.source}: {feed.samples:,} samples of {feed.tags} tags of {one.machine_id}, "
            f"{clock.time(feed.first_at)} to {clock.time(feed.last_at)}{stored}"
        )
    if not one.feeds:
        yield _line("No sample of this machine is stored for this hour.")
    if one.files:
        yield _line("Landed files that reach into this hour (of all machines; rows of the whole file):")
    for file in one.files:
        yield _line(f"  {file.name}: {file.rows_stored:,} rows, loaded at {clock.full(file.loaded_at)}")


def _revisions(one: Explanation, clock: Clock) -> Iterable[Text | Table | Padding]:
    stored = one.stored
    yield Text("")
    yield _line("Revision", "bold")
    revision = f"Revision {stored['revision']}, computed" if stored.get("revision") else "Computed"
    yield _line(
        f"{revision} from what was known at {clock.full(stored['as_of'])}. Fingerprint of what it was computed "
        f"from: {stored['fingerprint'][:16]}."
    )
    yield _line("Convention: " + " ".join(one.convention))
    for (_, new), rows in _by_revision(one.restatements).items():
        first = rows[0]
        changes = ", ".join(
            f"{row.column} {shown(row.column, row.old_value)} -> {shown(row.column, row.new_value)}" for row in rows
        )
        yield _line(
            f"Restated to revision {new} at {clock.full(first.restated_at)} because of {first.cause}: {changes}."
        )
    if not one.restatements:
        yield _line("Never restated.")
    for mark in one.marks[:5]:
        yield _line(
            f"Waits: {mark.dataset} has to be computed again since {clock.full(mark.marked_at)} ({mark.cause})."
        )


def _by_revision(rows: Iterable[Restatement]) -> dict[tuple[int, int], list[Restatement]]:
    groups: dict[tuple[int, int], list[Restatement]] = defaultdict(list)
    for row in rows:
        groups[row.old_revision, row.new_revision].append(row)
    return groups
