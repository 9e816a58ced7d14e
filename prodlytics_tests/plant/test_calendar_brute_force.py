"""The calendar against a clock on the wall that somebody looks at every minute."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from prodlytics.plant.calendar import plan_rows
from prodlytics.plant.model import PlanException, Plant, Shift, ShiftPlan
from prodlytics_tests.plant.small_plant import small_plant

DAY_MIN = 1440
NAMES = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
ZONES = ["America/Chicago", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"]
#: Ordinary days, and those around a change of the clocks in one of the zones.
DATES = ["2026-06-10", "2026-03-07", "2026-03-28", "2026-10-24", "2026-10-31", "2026-10-03", "2026-04-04"]

#: Any minute of the day, but often one of the hours in which clocks change.
MINUTES = st.one_of(st.integers(0, DAY_MIN - 1), st.integers(60, 180))

Label = tuple[str, str | None, dt.date, str]


def clock(minute: int) -> str:
    return f"{minute // 60 % 24:02d}:{minute % 60:02d}"


@st.composite
def shifts(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Shifts that do not overlap on the 24-hour circle, each with breaks that do not overlap inside it."""
    cuts = sorted(draw(st.lists(MINUTES, min_size=2, max_size=6, unique=True)))
    found = []
    for n, (begin, end) in enumerate(zip(cuts, [*cuts[1:], cuts[0] + DAY_MIN], strict=True)):
        if not draw(st.booleans()):
            continue
        inner = sorted(draw(st.lists(st.integers(begin, end), max_size=4, unique=True)))
        breaks = [
            {"name": f"B{k}", "start": clock(rests), "end": clock(works)}
            for k, (rests, works) in enumerate(zip(inner[::2], inner[1::2], strict=False))
            if works - rests < DAY_MIN
        ]
        weekdays = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=7, unique=True))
        found.append(
            {"name": f"S{n}", "start": clock(begin), "end": clock(end), "weekdays": weekdays, "breaks": breaks}
        )
    return found


@st.composite
def exceptions(draw: st.DrawFn, day: dt.date) -> list[dict[str, Any]]:
    found = []
    for n in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["overtime", "closure", "planned_stop"]))
        begin = draw(st.integers(-DAY_MIN, 4 * DAY_MIN))
        length = draw(st.integers(1, DAY_MIN if kind == "overtime" else 3 * DAY_MIN))
        midnight = dt.datetime.combine(day, dt.time())
        found.append(
            {
                "kind": kind,
                "start": midnight + dt.timedelta(minutes=begin),
                "end": midnight + dt.timedelta(minutes=begin + length),
                "reason": f"E{n}",
                "machines": draw(st.sampled_from([None, ["M1"], ["M2"]])),
            }
        )
    return found


@st.composite
def situations(draw: st.DrawFn) -> tuple[Plant, dt.date]:
    day = dt.date.fromisoformat(draw(st.sampled_from(DATES)))
    holidays = draw(st.lists(st.integers(-1, 3), max_size=2, unique=True))
    plans: list[dict[str, Any]] = [{"shifts": draw(shifts())}]
    # Another timetable from some day on, for all machines or for this or the other one alone.
    for after, machines in draw(
        st.lists(st.tuples(st.integers(-1, 3), st.sampled_from([None, ("M1",), ("M2",)])), max_size=2, unique=True)
    ):
        plans.append({"since": day + dt.timedelta(days=after), "machines": machines, "shifts": draw(shifts())})
    plant = small_plant(
        timezone=draw(st.sampled_from(ZONES)),
        day_boundary=clock(draw(MINUTES)),
        shift_plans=plans,
        holidays=[{"date": day + dt.timedelta(days=n), "name": f"H{n}"} for n in holidays],
        exceptions=draw(exceptions(day)),
    )
    return plant, day


class Wall:
    """A clock on the wall in the plant's zone, read every minute from `first` on."""

    def __init__(self, zone: ZoneInfo, first: dt.datetime, minutes: int) -> None:
        read = [(first + dt.timedelta(minutes=n)).astimezone(zone).replace(tzinfo=None) for n in range(minutes)]
        self.shows = np.array(read, dtype="datetime64[m]")

    def reaches(self, wall: dt.datetime) -> int:
        """The last minute in which the clock shows `wall`; if it never does, the first after which it shows more.

        Dagster's partitions start at the second of two equal wall times too, also when that is the very minute to which
        the clocks go back (01:00 in Chicago).
        """
        shown = np.flatnonzero(self.shows == np.datetime64(wall, "m"))
        if shown.size:
            return int(shown[-1])
        less = np.flatnonzero(self.shows < np.datetime64(wall, "m"))
        return int(less[-1]) + 1 if less.size else 0


def watched(plant: Plant, first: dt.datetime, minutes: int) -> list[Label]:
    """What M1 should do in each minute, found by looking at the clock."""
    wall = Wall(plant.zone, first, minutes)
    dates = [first.date() + dt.timedelta(days=n) for n in range(-2, minutes // DAY_MIN + 3)]
    by_boundary = [first.date()] * minutes
    for date in dates:
        for n in range(wall.reaches(dt.datetime.combine(date, plant.day_boundary)), minutes):
            by_boundary[n] = date

    sources = {date: f"timetable since {plan_on(plant, date).since}" for date in {*dates, *by_boundary}}
    labels: list[Label] = [("not_scheduled", None, date, sources[date]) for date in by_boundary]
    _look_at_shifts(labels, wall, dates, plant)
    for exception in plant.exceptions:
        if exception.machines is None or "M1" in exception.machines:
            _look_at_exception(labels, wall, by_boundary, exception)
    return labels


def _look_at_exception(labels: list[Label], wall: Wall, by_boundary: list[dt.date], exception: PlanException) -> None:
    source = f"{exception.kind.replace('_', ' ')}: {exception.reason}"
    for n in range(wall.reaches(exception.start), wall.reaches(exception.end)):
        said, shift_name, date, _ = labels[n]
        if exception.kind == "closure":
            labels[n] = ("not_scheduled", None, by_boundary[n], source)
        elif exception.kind == "planned_stop" and said == "planned":
            labels[n] = ("planned_stop", shift_name, date, source)
        elif exception.kind == "overtime" and said == "not_scheduled":
            labels[n] = ("planned", None, exception.start.date(), source)


def plan_on(plant: Plant, date: dt.date) -> ShiftPlan:
    """The timetable of M1: its own once it has begun, else the general one."""
    begun = [plan for plan in plant.shift_plans if plan.since <= date]
    own = [plan for plan in begun if plan.machines is not None and "M1" in plan.machines]
    return max(own or [plan for plan in begun if plan.machines is None], key=lambda plan: plan.since)


def _span(wall: Wall, date: dt.date, shift: Shift) -> tuple[int, int]:
    start = dt.datetime.combine(date, shift.start)
    end = dt.datetime.combine(date, shift.end)
    end += dt.timedelta(days=1) if end <= start else dt.timedelta()
    return wall.reaches(start), wall.reaches(end)


def _look_at_shifts(labels: list[Label], wall: Wall, dates: list[dt.date], plant: Plant) -> None:
    nothing = list(labels)
    holidays = {holiday.date: holiday.name for holiday in plant.holidays}
    starting = [
        (date, shift, f"timetable since {plan.since}")
        for date, plan in ((date, plan_on(plant, date)) for date in dates)
        for shift in sorted(plan.shifts, key=lambda shift: shift.start)
        if NAMES[date.weekday()] in shift.weekdays
    ]
    for date, shift, source in starting:
        if date not in holidays:
            # The shift that starts later takes over for good, also from one of the timetable of before.
            begin = _span(wall, date, shift)[0]
            labels[begin:] = nothing[begin:]
            _look_at_shift(labels, wall, date, shift, source)
    for date, shift, _ in starting:
        if date in holidays:
            _look_at_holiday(labels, wall, date, shift, holidays[date])


def _look_at_holiday(labels: list[Label], wall: Wall, date: dt.date, shift: Shift, name: str) -> None:
    for n in range(*_span(wall, date, shift)):
        if labels[n][0] == "not_scheduled":
            labels[n] = (*labels[n][:3], f"holiday: {name}")


def _look_at_shift(labels: list[Label], wall: Wall, date: dt.date, shift: Shift, source: str) -> None:
    start = dt.datetime.combine(date, shift.start)
    begin, until = _span(wall, date, shift)
    for n in range(begin, until):
        labels[n] = ("planned", shift.name, date, source)
    for pause in shift.breaks:
        rests = dt.datetime.combine(date, pause.start)
        rests += dt.timedelta(days=1) if rests < start else dt.timedelta()
        works = dt.datetime.combine(rests.date(), pause.end)
        works += dt.timedelta(days=1) if works <= rests else dt.timedelta()
        at = wall.reaches(rests)
        for n in range(at, min(at + int((works - rests).total_seconds() // 60), until)):
            labels[n] = ("break", *labels[n][1:])


@settings(deadline=None, max_examples=120)
@given(situations())
def test_every_minute_is_what_a_watcher_of_the_clock_would_say(situation: tuple[Plant, dt.date]) -> None:
    plant, day = situation
    first = dt.datetime.combine(day - dt.timedelta(days=4), dt.time(), tzinfo=dt.UTC)
    labels = watched(plant, first, 12 * DAY_MIN)

    start, minutes = first + dt.timedelta(days=4), 3 * DAY_MIN
    frame = plan_rows(plant, plant.machine("M1"), start, start + dt.timedelta(minutes=minutes))

    said: list[Label] = []
    reached = start
    for row in frame.itertuples():
        assert row.starts_at == reached
        reached = row.ends_at.to_pydatetime()
        length = int((reached - row.starts_at.to_pydatetime()).total_seconds() // 60)
        said += [(row.plan, row.shift, row.production_date, row.source)] * length
    assert reached == start + dt.timedelta(minutes=minutes)
    assert said == labels[4 * DAY_MIN : 4 * DAY_MIN + minutes]


@settings(deadline=None, max_examples=60)
@given(situations(), st.integers(0, 3 * DAY_MIN * 60_000_000), st.integers(1, DAY_MIN * 60_000_000))
def test_a_part_of_a_window_is_cut_out_of_the_whole(situation: tuple[Plant, dt.date], offset: int, length: int) -> None:
    plant, day = situation
    start = dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC)
    whole = plan_rows(plant, plant.machine("M1"), start, start + dt.timedelta(days=5))
    begin = start + dt.timedelta(microseconds=offset)
    end = begin + dt.timedelta(microseconds=length)

    expected = whole[(whole["ends_at"] > begin) & (whole["starts_at"] < end)].reset_index(drop=True)
    expected["starts_at"] = expected["starts_at"].clip(lower=begin)
    expected["ends_at"] = expected["ends_at"].clip(upper=end)
    part = plan_rows(plant, plant.machine("M1"), begin, end)
    assert part.to_dict("list") == expected.to_dict("list")
