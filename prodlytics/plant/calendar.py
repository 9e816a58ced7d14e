"""The timetable as instants: when a machine should run, and to which production day time belongs.

Belongs here: local wall time to UTC, shifts with their breaks, holidays, exceptions, production days and their hours.
Does not belong here: what machines really did (`kpi/`), the partition definition (`partitions.py`).

When the clocks change: a wall time that occurs twice means its second occurrence, one that does not occur means the
moment the clocks jump (as Dagster cuts its partitions, so both agree). A shift runs from its wall time to its wall
time, so the night shift is an hour shorter or longer. A break begins at its wall time and keeps its length: nobody
rests two hours because the clock shows 01:00 twice, nor not at all because 02:15 is missing.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Literal, NamedTuple
from zoneinfo import ZoneInfo

from prodlytics.plant.rules import break_in_shift_min, minute_of_day, shift_length_min
from prodlytics.plant.values import WEEKDAYS

if TYPE_CHECKING:
    import pandas as pd

    from prodlytics.plant.model import Break, Holiday, Machine, PlanException, Plant, Shift, ShiftPlan

UTC = dt.UTC
EPOCH = dt.datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = dt.timedelta(microseconds=1)
MINUTE_US = 60_000_000
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
#: How far around a window shifts may start that reach into it (24 hours, and two zones' worth of slack).
REACH = 3 * DAY


class Piece(NamedTuple):
    """A stretch of one machine's plan; begin and end are microseconds since 1970 UTC."""

    begin: int
    end: int
    plan: Literal["planned", "break", "planned_stop", "not_scheduled"]
    shift: str | None
    date: dt.date
    source: str


def production_day(plant: Plant, date: dt.date) -> tuple[dt.datetime, dt.datetime]:
    """Start and end (UTC) of a production day: 24 hours, or 23 or 25 when the clocks change."""
    return _day_start(plant, date), _day_start(plant, date + DAY)


def production_date_of(plant: Plant, instant: dt.datetime) -> dt.date:
    """The production day by the plant's boundary; time inside a shift belongs to the shift's day (`plan_rows`).

    Raises:
        ValueError: The instant has no zone.
    """
    _refuse_wall_time(instant)
    date = instant.astimezone(plant.zone).date() + DAY
    while _day_start(plant, date) > instant:
        date -= DAY
    return date


def day_hours(plant: Plant, start: dt.datetime, end: dt.datetime) -> list[tuple[dt.datetime, dt.datetime]]:
    """The whole hours (UTC) that [start, end) touches, counted from each production day's boundary.

    A boundary at half past gives hours at half past; a day on which the clocks change has 23 or 25 of them.
    """
    hours = []
    if start < end:
        date = production_date_of(plant, start)
        while (opens := _day_start(plant, date)) < end:
            closes = _day_start(plant, date + DAY)
            while opens < closes:
                hours.append((opens, min(opens + HOUR, closes)))
                opens += HOUR
            date += DAY
    return [(opens, closes) for opens, closes in hours if closes > start and opens < end]


def plan_rows(plant: Plant, machine: Machine, start: dt.datetime, end: dt.datetime) -> pd.DataFrame:
    """What was planned for a machine in [start, end): rows of `plan_calendar`, in order, without gap or overlap.

    No row reaches over a production day's boundary, so a window of whole days has the rows of its days.

    Args:
        plant: Timetable, holidays, exceptions and zone.
        machine: The machine; plans and exceptions that name others are left out.
        start: First instant, with a zone.
        end: First instant after, with a zone.

    Returns:
        machine_id, starts_at, ends_at (datetime64[us, UTC]), plan, shift (None where nothing is scheduled),
        production_date (of the day on which the shift starts; by the day boundary where nothing is scheduled), source.

    Raises:
        ValueError: start or end has no zone.
    """
    import numpy as np
    import pandas as pd

    pieces = plan_pieces(plant, machine, start, end)

    def instants(of: list[int]) -> pd.Series[pd.Timestamp]:
        return pd.Series(np.array(of, dtype="datetime64[us]")).dt.tz_localize("UTC")

    return pd.DataFrame(
        {
            "machine_id": pd.Series([machine.id] * len(pieces), dtype=object),
            "starts_at": instants([piece.begin for piece in pieces]),
            "ends_at": instants([piece.end for piece in pieces]),
            "plan": pd.Series([piece.plan for piece in pieces], dtype=object),
            "shift": pd.Series([piece.shift for piece in pieces], dtype=object),
            "production_date": pd.Series([piece.date for piece in pieces], dtype=object),
            "source": pd.Series([piece.source for piece in pieces], dtype=object),
        }
    )


def _refuse_wall_time(instant: dt.datetime) -> None:
    if instant.tzinfo is None:
        raise ValueError(f"{instant} has no time zone; give an instant, not a wall time")


def _us(instant: dt.datetime) -> int:
    _refuse_wall_time(instant)
    return (instant - EPOCH) // MICROSECOND


@lru_cache(maxsize=1 << 17)
def _instant(zone: ZoneInfo, wall: dt.datetime) -> dt.datetime:
    """The UTC instant of a wall time; see the module's text for days on which the clocks change."""
    instant = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == wall:
        return instant
    # The wall time does not exist. With fold 1 it is read with the offset after the jump, which lies before the jump;
    # with fold 0 the other way round. The jump is where the offset changes in between.
    offset_before = instant.astimezone(zone).utcoffset()
    seconds_to = int((wall.replace(tzinfo=zone, fold=0).astimezone(UTC) - instant).total_seconds())
    jump = bisect_left(
        range(seconds_to),
        True,
        key=lambda second: (instant + dt.timedelta(seconds=second)).astimezone(zone).utcoffset() != offset_before,
    )
    return instant + dt.timedelta(seconds=jump)


def _day_start(plant: Plant, date: dt.date) -> dt.datetime:
    return _instant(plant.zone, dt.datetime.combine(date, plant.day_boundary))


class _Days:
    """The production days around a window, to find the date of an instant and the next boundary quickly."""

    def __init__(self, plant: Plant, start: dt.datetime, end: dt.datetime) -> None:
        first = (start - REACH).astimezone(plant.zone).date()
        last = (end + REACH).astimezone(plant.zone).date()
        self.dates = [first + n * DAY for n in range((last - first).days + 1)]
        self.starts = [_us(_day_start(plant, date)) for date in self.dates]

    def date_of(self, instant: int) -> dt.date:
        return self.dates[bisect_right(self.starts, instant) - 1]

    def cut(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """[begin, end) cut at day boundaries."""
        while begin < end:
            after = bisect_right(self.starts, begin)
            until = min(end, self.starts[after]) if after < len(self.starts) else end
            yield begin, until
            begin = until


class Timetable:
    """The plans one machine follows."""

    def __init__(self, plant: Plant, machine: Machine) -> None:
        plans = sorted(plant.shift_plans, key=lambda plan: plan.since)
        self.own = [plan for plan in plans if plan.machines is not None and machine.id in plan.machines]
        self.general = [plan for plan in plans if plan.machines is None]

    def on(self, date: dt.date) -> ShiftPlan | None:
        """The plan in force: the machine's own, else the general one; the latest that has begun."""
        for plans in (self.own, self.general):
            begun = bisect_right(plans, date, key=lambda plan: plan.since)
            if begun:
                return plans[begun - 1]
        return None

    def shifts(self, date: dt.date) -> list[Shift]:
        """The shifts that start on `date`, holidays apart."""
        plan = self.on(date)
        today = WEEKDAYS[date.weekday()]
        return sorted((s for s in plan.shifts if today in s.weekdays), key=lambda s: s.start) if plan else []

    def source(self, date: dt.date) -> str:
        """What to name as the origin of the plan of that day."""
        plan = self.on(date)
        return f"timetable since {plan.since}" if plan else "no timetable yet"


def plan_pieces(plant: Plant, machine: Machine, start: dt.datetime, end: dt.datetime) -> list[Piece]:
    """The rows of `plan_rows` without pandas: what was planned for a machine in [start, end).

    Raises:
        ValueError: start or end has no zone.
    """
    begin, until = _us(start), _us(end)
    if begin >= until:
        return []
    days, timetable = _Days(plant, start, end), Timetable(plant, machine)
    holidays = {holiday.date: holiday for holiday in plant.holidays}
    pieces = _with_gaps(_scheduled(plant, timetable, days, holidays), timetable, days, begin, until)
    for date in days.dates:
        if date in holidays:
            _mark_holiday(pieces, plant, timetable.shifts(date), holidays[date])
    for exception in plant.exceptions:
        if exception.machines is None or machine.id in exception.machines:
            _apply(pieces, plant, exception, days)
    # Cut at day boundaries, so that a day has the same rows whether it is computed alone or in a year.
    return [piece._replace(begin=a, end=b) for piece in _joined(pieces) for a, b in days.cut(piece.begin, piece.end)]


def _scheduled(plant: Plant, timetable: Timetable, days: _Days, holidays: dict[dt.date, Holiday]) -> list[Piece]:
    pieces: list[Piece] = []
    for date in days.dates:
        if date in holidays:
            continue
        source = timetable.source(date)
        for shift in timetable.shifts(date):
            begin, end = _shift_span(plant, date, shift)
            # Only where a new timetable begins can shifts meet: the one that starts later takes over.
            while pieces and pieces[-1].end > begin:
                cut = pieces.pop()
                if cut.begin < begin:
                    pieces.append(cut._replace(end=begin))
            wall = dt.datetime.combine(date, shift.start)
            for from_, to, plan in _around_breaks(plant.zone, wall, begin, end, shift.breaks):
                pieces.append(Piece(from_, to, plan, shift.name, date, source))
    return pieces


def _shift_span(plant: Plant, date: dt.date, shift: Shift) -> tuple[int, int]:
    wall = dt.datetime.combine(date, dt.time()) + dt.timedelta(minutes=minute_of_day(shift.start))
    length = dt.timedelta(minutes=shift_length_min(shift))
    return _us(_instant(plant.zone, wall)), _us(_instant(plant.zone, wall + length))


def _around_breaks(
    zone: ZoneInfo, wall: dt.datetime, begin: int, end: int, breaks: tuple[Break, ...]
) -> Iterator[tuple[int, int, Literal["planned", "break"]]]:
    """[begin, end), which starts at the wall time `wall`, cut into work and breaks."""
    spans = []
    for pause in breaks:
        from_min, to_min = break_in_shift_min(wall.time(), pause)
        rests = _us(_instant(zone, wall + dt.timedelta(minutes=from_min)))
        spans.append((rests, rests + (to_min - from_min) * MINUTE_US))
    for rests, works in sorted(spans):
        rests, works = max(rests, begin), min(works, end)
        if works <= rests:
            continue
        if begin < rests:
            yield begin, rests, "planned"
        yield rests, works, "break"
        begin = works
    if begin < end:
        yield begin, end, "planned"


def _with_gaps(scheduled: list[Piece], timetable: Timetable, days: _Days, begin: int, until: int) -> list[Piece]:
    """The scheduled pieces clipped to [begin, until), and what lies between them as not scheduled."""
    pieces: list[Piece] = []
    reached = begin

    def fill(to: int) -> None:
        for from_, end in days.cut(reached, to):
            date = days.date_of(from_)
            pieces.append(Piece(from_, end, "not_scheduled", None, date, timetable.source(date)))

    for piece in scheduled:
        clipped = piece._replace(begin=max(piece.begin, begin), end=min(piece.end, until))
        if clipped.begin < clipped.end:
            fill(clipped.begin)
            pieces.append(clipped)
            reached = clipped.end
    fill(until)
    return pieces


def _mark_holiday(pieces: list[Piece], plant: Plant, shifts: list[Shift], holiday: Holiday) -> None:
    def name(piece: Piece) -> Piece:
        return piece._replace(source=f"holiday: {holiday.name}") if piece.plan == "not_scheduled" else piece

    for shift in shifts:
        begin, end = _shift_span(plant, holiday.date, shift)
        _repaint(pieces, begin, end, name)


def exception_span(plant: Plant, exception: PlanException) -> tuple[int, int]:
    """Begin and end of an exception, microseconds since 1970 UTC."""
    return _us(_instant(plant.zone, exception.start)), _us(_instant(plant.zone, exception.end))


def _apply(pieces: list[Piece], plant: Plant, exception: PlanException, days: _Days) -> None:
    begin, end = exception_span(plant, exception)
    source = f"{exception.kind.replace('_', ' ')}: {exception.reason}"

    def close(piece: Piece) -> Piece:
        return piece._replace(plan="not_scheduled", shift=None, date=days.date_of(piece.begin), source=source)

    def stop(piece: Piece) -> Piece:
        return piece._replace(plan="planned_stop", source=source) if piece.plan == "planned" else piece

    if exception.kind == "closure":
        for from_, to in days.cut(begin, end):
            _repaint(pieces, from_, to, close)
    elif exception.kind == "planned_stop":
        _repaint(pieces, begin, end, stop)
    else:
        for from_, to, plan in _around_breaks(plant.zone, exception.start, begin, end, exception.breaks):
            added = Piece(from_, to, plan, exception.shift, exception.start.date(), source)
            _repaint(pieces, from_, to, partial(_add, added=added))


def _add(piece: Piece, added: Piece) -> Piece:
    return added._replace(begin=piece.begin, end=piece.end) if piece.plan == "not_scheduled" else piece


def _repaint(pieces: list[Piece], begin: int, end: int, change: Callable[[Piece], Piece]) -> None:
    """Change what the pieces say between begin and end, in place, cutting those that reach over an edge."""
    first = max(bisect_right(pieces, begin, key=lambda piece: piece.begin) - 1, 0)
    last = bisect_left(pieces, end, key=lambda piece: piece.begin)
    new: list[Piece] = []
    for piece in pieces[first:last]:
        from_, to = max(piece.begin, begin), min(piece.end, end)
        if from_ >= to:
            new.append(piece)
            continue
        if piece.begin < from_:
            new.append(piece._replace(end=from_))
        new.append(change(piece._replace(begin=from_, end=to)))
        if to < piece.end:
            new.append(piece._replace(begin=to))
    pieces[first:last] = new


def _joined(pieces: list[Piece]) -> list[Piece]:
    joined: list[Piece] = []
    for piece in pieces:
        if joined and joined[-1][2:] == piece[2:]:
            joined[-1] = joined[-1]._replace(end=piece.end)
        else:
            joined.append(piece)
    return joined
