"""Shop floors at random: states, plan and people's words with edges at whole microseconds.

Belongs here: hypothesis strategies, and their outcome as the frames of the product. Does not belong here: expectations.
"""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
from hypothesis import strategies as st

from prodlytics.plant.calendar import plan_rows
from prodlytics.plant.model import Plant
from prodlytics_tests.kpi import floor
from prodlytics_tests.ledger.sweep import LOSS, Plan, Said, Shop, State, instant, us

CHICAGO, KOLKATA = "America/Chicago", "Asia/Kolkata"
MINUTE = 60_000_000
#: First instants (local): an ordinary Monday, the two nights on which clocks change, a half-hour zone, a weekend.
BEGINS = (
    (CHICAGO, "2026-03-02T06:00"),
    (CHICAGO, "2026-03-07T22:10"),
    (CHICAGO, "2026-10-31T22:30"),
    (CHICAGO, "2026-03-06T21:00"),
    (KOLKATA, "2026-03-02T05:15"),
)


def shift(name: str, start: str, end: str, *breaks: tuple[str, str], **more: Any) -> dict[str, Any]:
    """A shift of the plant file."""
    pauses = [{"name": f"break {start}", "start": start, "end": end} for start, end in breaks]
    return {"name": name, "start": start, "end": end, "breaks": pauses, **more}


WORKDAYS = ["mon", "tue", "wed", "thu", "fri"]
#: Three shifts with breaks; two with half hours and a weekend; two of which one ends a quarter past the boundary.
TIMETABLES = (
    [
        shift("Shift 1", "06:00", "14:30", ("09:30", "10:00")),
        shift("Shift 2", "14:30", "23:00"),
        shift("Shift 3", "23:00", "06:00", ("01:45", "02:15")),
    ],
    [shift("Early", "05:30", "13:45", weekdays=WORKDAYS), shift("Late", "13:45", "22:15", weekdays=WORKDAYS)],
    [shift("Day", "06:15", "18:15"), shift("Night", "18:15", "06:15", ("05:50", "06:10"))],
)
NAMES = ["running", "running", "running", "idle", "fault", "setup", "blocked", "starved", "off", "unknown"]

#: Lengths in microseconds: moments, around the micro-stop threshold, minutes, hours, a stop of 50 hours.
LENGTHS = st.one_of(
    st.integers(1, 3),
    st.integers(MINUTE, 3 * MINUTE),
    st.sampled_from([120_000_000 - 1, 120_000_000, 120_000_001]),
    st.integers(1, 60).map(lambda minutes: minutes * MINUTE),
    st.integers(MINUTE, 5 * 60 * MINUTE),
    st.just(50 * 60 * MINUTE + 1),
)


def plant_for(
    zone: str, shifts: list[dict[str, Any]], boundary: str = "06:00", exceptions: Any = (), **machine: Any
) -> Plant:
    """One machine in a zone under a timetable; the micro-stop threshold changes on Tuesday 3 March 2026."""
    micro = [{"value": 120}, {"since": "2026-03-03", "value": 600}]
    return floor.plant(
        {"micro_stop_s": micro, **machine},
        timezone=zone,
        shift_plans=[{"shifts": shifts}],
        exceptions=list(exceptions),
        day_boundary=boundary,
    )


@st.composite
def exceptions(draw: st.DrawFn, begin: dt.datetime) -> list[dict[str, Any]]:
    """Closures, overtime and agreed maintenance in the days after a local time."""
    found = []
    for _ in range(draw(st.integers(0, 3))):
        start = begin.replace(tzinfo=None) + dt.timedelta(minutes=5 * draw(st.integers(0, 600)))
        end = start + dt.timedelta(minutes=draw(st.integers(1, 500)))
        kind = draw(st.sampled_from(["overtime", "closure", "planned_stop"]))
        more = {"shift": "Extra"} if kind == "overtime" else {}
        found.append({"kind": kind, "start": start.isoformat(), "end": end.isoformat(), "reason": "so", **more})
    return found


@st.composite
def runs(draw: st.DrawFn, low: int, size: int = 20) -> list[State]:
    """States one after the other from `low` on; the first may reach in from before, some reports may be missing."""
    states: list[State] = []
    previous: tuple[str, str | None] = ("", None)
    at = low
    for number in range(draw(st.integers(1, size))):
        length = draw(LENGTHS)
        name = draw(st.sampled_from(NAMES))
        fault = draw(st.sampled_from([None, "E1", "E2"])) if name == "fault" else None
        began = at - draw(st.sampled_from([0, 0, 1, 90 * MINUTE])) if number == 0 else at
        if (name, fault) == previous and states:
            states[-1] = states[-1]._replace(end=at + length)
        else:
            states.append(State(at, at + length, name, fault, began))
        previous, at = (name, fault), at + length
    return states


@st.composite
def words(draw: st.DrawFn, low: int, high: int) -> list[Said]:
    """What people said: overlapping, nested, without an end, at edges, before and after everything."""
    said = []
    for number in range(draw(st.integers(0, 5))):
        start = draw(st.integers(low - 30 * MINUTE, high + MINUTE))
        length = draw(st.none() | LENGTHS)
        end = None if length is None else start + length
        said.append(Said(start, end, draw(st.sampled_from(sorted(LOSS))), draw(st.integers(0, 2)), f"e{number}"))
    return said


@st.composite
def shops(draw: st.DrawFn, size: int = 20) -> tuple[Plant, Shop, int, int]:
    """A plant, what happened in it, and from when to when."""
    zone, local = draw(st.sampled_from(BEGINS))
    begin = dt.datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone))
    low = us(begin) + draw(st.sampled_from([0, 0, 1, 1_234_567]))
    boundary = draw(st.sampled_from(["06:00", "05:30", "00:00"]))
    plant = plant_for(zone, draw(st.sampled_from(TIMETABLES)), boundary, draw(exceptions(begin)))
    states = draw(runs(low, size))
    high = states[-1].end
    if draw(st.booleans()) and len(states) > 2:  # a report is missing: nobody knows
        del states[draw(st.integers(1, len(states) - 2))]
    said = draw(words(low, high))
    return plant, shop_of(plant, states, said, low, high), low, high


def shop_of(plant: Plant, states: list[State], said: list[Said], low: int, high: int) -> Shop:
    """A shop under the plant's own plan; that the calendar is right is shown elsewhere."""
    rows = plan_rows(plant, plant.machines[0], instant(low), instant(high))
    plan = [
        Plan(us(start.to_pydatetime()), us(end.to_pydatetime()), kind, shift, date)
        for start, end, kind, shift, date in zip(
            rows["starts_at"], rows["ends_at"], rows["plan"], rows["shift"], rows["production_date"], strict=True
        )
    ]
    micro = {dt.date(1970, 1, 1): 120.0, dt.date(2026, 3, 3): 600.0}
    return Shop(states, plan, said, micro, plant.zone, plant.day_boundary)


def state_frame(states: list[State], *, is_open: bool = False) -> pd.DataFrame:
    """Rows of machine_states."""
    frame = floor.state_spans([(instant(s.start), instant(s.end), s.name, s.fault) for s in states], is_open=is_open)
    began = pd.Series(pd.to_datetime([instant(s.began) for s in states], utc=True)).astype("datetime64[us, UTC]")
    return frame.assign(state_started_at=began)


def entry_frame(said: list[Said]) -> pd.DataFrame:
    """Rows of operator_entries."""
    return floor.entries(
        *(
            floor.ENTRY
            | {
                "starts_at": instant(one.start),
                "ends_at": None if one.end is None else instant(one.end),
                "reason_code": one.code,
                "entered_at": floor.NOW + dt.timedelta(seconds=one.entered),
                "source_key": one.key,
            }
            for one in said
        )
    )
