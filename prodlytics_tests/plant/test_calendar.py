"""Numbers from the wall: what a person reads off a clock and a timetable."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from prodlytics.partitions import production_days
from prodlytics.plant.calendar import day_hours, plan_rows, production_date_of, production_day
from prodlytics.plant.model import Plant
from prodlytics_tests.plant.small_plant import THREE_SHIFTS, small_plant

CHICAGO = ZoneInfo("America/Chicago")
HOUR = pd.Timedelta(hours=1)


def date(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def local(text: str, zone: str = "America/Chicago") -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def plan(plant: Plant, start: str, end: str, machine: str = "M1") -> pd.DataFrame:
    """The plan between two local wall times, with times shown on the plant's wall clock."""
    frame = plan_rows(plant, plant.machine(machine), local(start, plant.timezone), local(end, plant.timezone))
    wall = frame.assign(
        hours=(frame["ends_at"] - frame["starts_at"]) / HOUR,
        starts=frame["starts_at"].dt.tz_convert(plant.timezone).dt.strftime("%m-%d %H:%M"),
        ends=frame["ends_at"].dt.tz_convert(plant.timezone).dt.strftime("%m-%d %H:%M"),
    )
    return wall


def brief(frame: pd.DataFrame) -> list[tuple[str, str, str, str | None]]:
    return list(frame[["starts", "ends", "plan", "shift"]].itertuples(index=False, name=None))


@pytest.mark.parametrize(
    ("starts_on", "hours"), [("2026-03-06", 7), ("2026-03-07", 6), ("2026-10-30", 7), ("2026-10-31", 8)]
)
def test_the_night_shift_is_as_long_as_the_night(starts_on: str, hours: float) -> None:
    plant = small_plant()
    start, end = production_day(plant, date(starts_on))
    rows = plan_rows(plant, plant.machine("M1"), start, end)
    night = rows[rows["shift"] == "Shift 3"]
    assert ((night["ends_at"] - night["starts_at"]).sum()) / HOUR == hours
    assert set(night["production_date"]) == {date(starts_on)}
    assert night["starts_at"].iloc[0] == local(f"{starts_on}T23:00")


def test_a_shift_belongs_to_the_day_on_which_it_starts() -> None:
    rows = plan(small_plant(), "2026-06-10T00:00", "2026-06-11T00:00")
    assert list(zip(rows["shift"], rows["production_date"], strict=True)) == [
        ("Shift 3", date("2026-06-09")),
        ("Shift 1", date("2026-06-10")),
        ("Shift 2", date("2026-06-10")),
        ("Shift 3", date("2026-06-10")),
    ]


def test_time_nobody_works_belongs_to_the_production_day_by_the_boundary() -> None:
    shift = {"name": "Day", "start": "07:00", "end": "15:00", "weekdays": ["mon", "tue", "wed", "thu", "fri"]}
    rows = plan(small_plant(shift_plans=[{"shifts": [shift]}]), "2026-06-12T15:00", "2026-06-15T07:00")
    assert set(rows["plan"]) == {"not_scheduled"}
    assert rows["shift"].isna().all()
    assert list(zip(rows["starts"], rows["ends"], rows["production_date"], strict=True)) == [
        ("06-12 15:00", "06-13 06:00", date("2026-06-12")),
        ("06-13 06:00", "06-14 06:00", date("2026-06-13")),
        ("06-14 06:00", "06-15 06:00", date("2026-06-14")),
        ("06-15 06:00", "06-15 07:00", date("2026-06-15")),
    ]


def test_a_break_may_cross_midnight() -> None:
    night = {
        "name": "Night",
        "start": "22:00",
        "end": "06:00",
        "breaks": [{"name": "Meal", "start": "23:45", "end": "00:15"}],
    }
    rows = plan(small_plant(shift_plans=[{"shifts": [night]}]), "2026-06-10T22:00", "2026-06-11T06:00")
    assert brief(rows) == [
        ("06-10 22:00", "06-10 23:45", "planned", "Night"),
        ("06-10 23:45", "06-11 00:15", "break", "Night"),
        ("06-11 00:15", "06-11 06:00", "planned", "Night"),
    ]
    assert set(rows["production_date"]) == {date("2026-06-10")}


@pytest.mark.parametrize(
    ("starts_on", "break_at", "seen_utc"),
    [
        # 02:15 does not exist on March 8: the break starts when the clocks jump to 03:00 (08:00 UTC).
        ("2026-03-07", ("02:15", "02:45"), ("2026-03-08T08:00", "2026-03-08T08:30")),
        # 01:15 comes twice on November 1: the second time (CST) counts, once, for half an hour.
        ("2026-10-31", ("01:15", "01:45"), ("2026-11-01T07:15", "2026-11-01T07:45")),
        # Begun before the jump, half an hour long all the same.
        ("2026-03-07", ("01:45", "02:15"), ("2026-03-08T07:45", "2026-03-08T08:15")),
        ("2026-10-31", ("00:45", "01:15"), ("2026-11-01T05:45", "2026-11-01T06:15")),
    ],
)
def test_a_break_keeps_its_length_when_the_clocks_change(
    starts_on: str, break_at: tuple[str, str], seen_utc: tuple[str, str]
) -> None:
    pause = {"name": "Break", "start": break_at[0], "end": break_at[1]}
    plant = small_plant(shift_plans=[{"shifts": [{**THREE_SHIFTS[2], "breaks": [pause]}]}])
    rows = plan_rows(plant, plant.machine("M1"), *production_day(plant, date(starts_on)))
    rests = rows[rows["plan"] == "break"]
    assert list(rests["starts_at"]) == [pd.Timestamp(seen_utc[0], tz="UTC")]
    assert list(rests["ends_at"]) == [pd.Timestamp(seen_utc[1], tz="UTC")]


def test_no_shift_starts_on_a_holiday_but_last_nights_still_ends() -> None:
    plant = small_plant(holidays=[{"date": "2026-11-26", "name": "Thanksgiving"}])
    rows = plan(plant, "2026-11-26T00:00", "2026-11-27T07:00")
    assert brief(rows) == [
        ("11-26 00:00", "11-26 06:00", "planned", "Shift 3"),
        ("11-26 06:00", "11-27 06:00", "not_scheduled", None),
        ("11-27 06:00", "11-27 07:00", "planned", "Shift 1"),
    ]
    assert list(rows["source"])[1] == "holiday: Thanksgiving"
    assert list(rows["production_date"]) == [date("2026-11-25"), date("2026-11-26"), date("2026-11-27")]


DAY_SHIFT = {
    "name": "Day",
    "start": "07:00",
    "end": "15:00",
    "weekdays": ["mon", "tue", "wed", "thu", "fri"],
    "breaks": [{"name": "Lunch", "start": "11:00", "end": "11:30"}],
}


def exceptional(*exceptions: dict[str, object], **changes: object) -> Plant:
    return small_plant(shift_plans=[{"shifts": [DAY_SHIFT]}], exceptions=list(exceptions), **changes)


def test_overtime_plans_a_saturday_for_the_machines_it_names() -> None:
    plant = exceptional(
        {
            "kind": "overtime",
            "start": "2026-06-13T07:00",
            "end": "2026-06-13T12:00",
            "reason": "Backlog",
            "shift": "Saturday",
            "machines": ["M1"],
            "breaks": [{"name": "Coffee", "start": "09:00", "end": "09:15"}],
        }
    )
    rows = plan(plant, "2026-06-13T06:00", "2026-06-14T06:00")
    assert brief(rows) == [
        ("06-13 06:00", "06-13 07:00", "not_scheduled", None),
        ("06-13 07:00", "06-13 09:00", "planned", "Saturday"),
        ("06-13 09:00", "06-13 09:15", "break", "Saturday"),
        ("06-13 09:15", "06-13 12:00", "planned", "Saturday"),
        ("06-13 12:00", "06-14 06:00", "not_scheduled", None),
    ]
    assert list(rows["source"])[1] == "overtime: Backlog"
    assert set(plan(plant, "2026-06-13T06:00", "2026-06-14T06:00", "M2")["plan"]) == {"not_scheduled"}


def test_overtime_only_adds_what_was_not_scheduled() -> None:
    plant = exceptional({"kind": "overtime", "start": "2026-06-12T10:00", "end": "2026-06-12T18:00", "reason": "Late"})
    rows = plan(plant, "2026-06-12T10:00", "2026-06-12T19:00")
    assert brief(rows) == [
        ("06-12 10:00", "06-12 11:00", "planned", "Day"),
        ("06-12 11:00", "06-12 11:30", "break", "Day"),
        ("06-12 11:30", "06-12 15:00", "planned", "Day"),
        ("06-12 15:00", "06-12 18:00", "planned", None),
        ("06-12 18:00", "06-12 19:00", "not_scheduled", None),
    ]


def test_a_night_of_overtime_belongs_to_the_evening_on_which_it_starts() -> None:
    plant = exceptional({"kind": "overtime", "start": "2026-06-12T23:00", "end": "2026-06-13T07:00", "reason": "Night"})
    rows = plan(plant, "2026-06-12T23:00", "2026-06-13T08:00")
    assert list(zip(rows["plan"], rows["production_date"], strict=True)) == [
        ("planned", date("2026-06-12")),
        ("planned", date("2026-06-12")),  # past the boundary, still the same night
        ("not_scheduled", date("2026-06-13")),
    ]


def test_a_closure_takes_time_and_breaks_out_of_the_plan() -> None:
    plant = exceptional({"kind": "closure", "start": "2026-06-11T10:00", "end": "2026-06-12T08:00", "reason": "Flood"})
    rows = plan(plant, "2026-06-11T07:00", "2026-06-12T11:00")
    assert brief(rows) == [
        ("06-11 07:00", "06-11 10:00", "planned", "Day"),
        ("06-11 10:00", "06-12 06:00", "not_scheduled", None),
        ("06-12 06:00", "06-12 08:00", "not_scheduled", None),
        ("06-12 08:00", "06-12 11:00", "planned", "Day"),
    ]
    assert list(rows["source"])[1:3] == ["closure: Flood"] * 2
    assert list(rows["production_date"])[1:3] == [date("2026-06-11"), date("2026-06-12")]


def test_a_planned_stop_keeps_the_shift_and_its_breaks() -> None:
    plant = exceptional(
        {"kind": "planned_stop", "start": "2026-06-11T10:00", "end": "2026-06-11T17:00", "reason": "Overhaul"}
    )
    rows = plan(plant, "2026-06-11T07:00", "2026-06-11T18:00")
    assert brief(rows) == [
        ("06-11 07:00", "06-11 10:00", "planned", "Day"),
        ("06-11 10:00", "06-11 11:00", "planned_stop", "Day"),
        ("06-11 11:00", "06-11 11:30", "break", "Day"),
        ("06-11 11:30", "06-11 15:00", "planned_stop", "Day"),
        ("06-11 15:00", "06-11 18:00", "not_scheduled", None),
    ]
    assert list(rows["source"])[1] == "planned stop: Overhaul"


def test_a_later_exception_overrules_an_earlier_one() -> None:
    week = {"kind": "closure", "start": "2026-06-08T06:00", "end": "2026-06-13T06:00", "reason": "Summer"}
    one = {
        "kind": "overtime",
        "start": "2026-06-10T08:00",
        "end": "2026-06-10T12:00",
        "reason": "Rush order",
        "machines": ["M1"],
    }
    assert "planned" in set(plan(exceptional(week, one), "2026-06-08T06:00", "2026-06-13T06:00")["plan"])
    assert set(plan(exceptional(one, week), "2026-06-08T06:00", "2026-06-13T06:00")["plan"]) == {"not_scheduled"}


def test_overtime_may_work_on_a_holiday() -> None:
    overtime = {"kind": "overtime", "start": "2026-06-10T08:00", "end": "2026-06-10T12:00", "reason": "Rush order"}
    plant = exceptional(overtime, holidays=[{"date": "2026-06-10", "name": "Founders' day"}])
    rows = plan(plant, "2026-06-10T07:00", "2026-06-10T15:00")
    assert list(rows["source"]) == ["holiday: Founders' day", "overtime: Rush order", "holiday: Founders' day"]


def test_a_new_timetable_leaves_the_past_alone_and_takes_over_from_the_last_night() -> None:
    early = {"name": "Early", "start": "05:00", "end": "13:00"}
    plant = small_plant(shift_plans=[{"shifts": THREE_SHIFTS}, {"since": "2026-06-10", "shifts": [early]}])
    rows = plan(plant, "2026-06-09T14:30", "2026-06-10T14:00")
    assert brief(rows) == [
        ("06-09 14:30", "06-09 23:00", "planned", "Shift 2"),
        ("06-09 23:00", "06-10 05:00", "planned", "Shift 3"),
        ("06-10 05:00", "06-10 06:00", "planned", "Early"),
        ("06-10 06:00", "06-10 13:00", "planned", "Early"),
        ("06-10 13:00", "06-10 14:00", "not_scheduled", None),
    ]
    assert list(rows["source"]) == ["timetable since 1970-01-01"] * 2 + ["timetable since 2026-06-10"] * 3


def test_a_machines_own_timetable_outranks_the_general_one() -> None:
    own = {"name": "Own", "start": "08:00", "end": "12:00"}
    later = {"name": "Later", "start": "09:00", "end": "17:00"}
    plant = small_plant(
        shift_plans=[
            {"shifts": THREE_SHIFTS},
            {"since": "2026-06-10", "machines": ["M2"], "shifts": [own]},
            {"since": "2026-07-01", "shifts": [later]},
        ]
    )
    for day, expected in (("2026-06-09", "Shift 1"), ("2026-06-10", "Own"), ("2026-07-01", "Own")):
        assert plan(plant, f"{day}T09:30", f"{day}T10:00", "M2")["shift"].tolist() == [expected]
    assert plan(plant, "2026-07-01T09:30", "2026-07-01T10:00", "M1")["shift"].tolist() == ["Later"]


def test_before_the_first_timetable_nothing_is_scheduled() -> None:
    plant = small_plant(shift_plans=[{"since": "2026-06-10", "shifts": THREE_SHIFTS}])
    rows = plan(plant, "2026-06-09T06:00", "2026-06-10T07:00")
    assert list(rows["plan"]) == ["not_scheduled", "planned"]
    assert list(rows["source"]) == ["no timetable yet", "timetable since 2026-06-10"]


@pytest.mark.parametrize("boundary", ["06:00", "00:00", "01:30"])
def test_a_week_in_one_go_has_the_rows_of_its_days(boundary: str) -> None:
    night = {**THREE_SHIFTS[2], "breaks": [{"name": "Meal", "start": "01:15", "end": "01:45"}]}
    plant = small_plant(day_boundary=boundary, shift_plans=[{"shifts": [*THREE_SHIFTS[:2], night]}])
    days = [production_day(plant, date("2026-10-29") + dt.timedelta(days=n)) for n in range(7)]
    one_by_one = pd.concat([plan_rows(plant, plant.machine("M1"), *day) for day in days], ignore_index=True)
    pd.testing.assert_frame_equal(plan_rows(plant, plant.machine("M1"), days[0][0], days[-1][1]), one_by_one)


def test_rows_have_the_columns_and_types_of_the_table() -> None:
    plant = small_plant()
    frame = plan_rows(plant, plant.machine("M1"), *production_day(plant, date("2026-06-10")))
    assert list(frame.columns) == [
        *("machine_id", "starts_at", "ends_at", "plan", "shift", "production_date", "source"),
    ]
    assert str(frame["starts_at"].dtype) == str(frame["ends_at"].dtype) == "datetime64[us, UTC]"
    assert type(frame["production_date"].iloc[0]) is dt.date
    empty = plan_rows(plant, plant.machine("M1"), local("2026-06-10T06:00"), local("2026-06-10T06:00"))
    assert len(empty) == 0
    assert list(empty.dtypes) == list(frame.dtypes)


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-07", 23), ("2026-03-08", 24), ("2026-10-31", 25), ("2026-11-01", 24)]
)
def test_the_production_day_in_which_the_clocks_change(day: str, hours: int) -> None:
    plant = small_plant()
    start, end = production_day(plant, date(day))
    assert (end - start) == dt.timedelta(hours=hours)
    assert start.astimezone(CHICAGO).strftime("%H:%M") == end.astimezone(CHICAGO).strftime("%H:%M") == "06:00"
    each = day_hours(plant, start, end)
    assert len(each) == hours
    assert each[0][0] == start
    assert each[-1][1] == end
    assert all(after[0] == before[1] for before, after in pairwise(each))


@pytest.mark.parametrize("zone", ["America/Chicago", "Asia/Kolkata", "Europe/Berlin", "Australia/Lord_Howe"])
@pytest.mark.parametrize("boundary", ["00:00", "01:30", "02:00", "02:30", "05:30", "06:00", "22:00"])
def test_production_days_are_the_partitions(zone: str, boundary: str) -> None:
    plant = small_plant(timezone=zone, day_boundary=boundary)
    partitions = production_days(plant)
    for first in (date("2026-03-06"), date("2026-03-28"), date("2026-04-03"), date("2026-10-02"), date("2026-10-30")):
        for day in (first + dt.timedelta(days=n) for n in range(4)):
            window = partitions.time_window_for_partition_key(day.isoformat())
            ours = production_day(plant, day)
            assert [t.timestamp() for t in ours] == [window.start.timestamp(), window.end.timestamp()]


def test_hours_of_a_boundary_at_half_past() -> None:
    plant = small_plant(day_boundary="05:30")
    hours = day_hours(plant, local("2026-06-10T05:00"), local("2026-06-10T07:00"))
    assert [begin.astimezone(CHICAGO).strftime("%H:%M") for begin, _ in hours] == ["04:30", "05:30", "06:30"]
    assert day_hours(plant, local("2026-06-10T05:30"), local("2026-06-10T06:30")) == hours[1:2]
    assert day_hours(plant, local("2026-06-10T05:30"), local("2026-06-10T05:30")) == []


def test_hours_and_days_of_a_zone_between_the_hours() -> None:
    plant = small_plant(timezone="Asia/Kolkata")
    start, end = production_day(plant, date("2026-06-10"))
    assert start == dt.datetime(2026, 6, 10, 0, 30, tzinfo=dt.UTC)
    assert end - start == dt.timedelta(hours=24)
    assert [begin.minute for begin, _ in day_hours(plant, start, end)] == [30] * 24
    assert plan_rows(plant, plant.machine("M1"), start, end)["starts_at"].iloc[0] == start


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        ("2026-06-10T05:59:59.999999", "2026-06-09"),
        ("2026-06-10T06:00", "2026-06-10"),
        ("2026-06-11T00:00", "2026-06-10"),
        ("2026-03-08T05:59", "2026-03-07"),
        ("2026-03-08T06:00", "2026-03-08"),
    ],
)
def test_the_production_date_changes_at_the_boundary(instant: str, day: str) -> None:
    assert production_date_of(small_plant(), local(instant)) == date(day)


def test_a_wall_time_is_not_an_instant() -> None:
    plant = small_plant()
    naive = dt.datetime(2026, 6, 10)  # noqa: DTZ001
    with pytest.raises(ValueError, match="no time zone"):
        production_date_of(plant, naive)
    with pytest.raises(ValueError, match="no time zone"):
        plan_rows(plant, plant.machine("M1"), naive, naive)


def test_a_day_that_begins_at_the_minute_to_which_the_clocks_go_back() -> None:
    """01:00 in Chicago comes twice on 1 November 2026; the production day begins at the second, as Dagster's does."""
    plant = small_plant(timezone="America/Chicago", day_boundary="01:00")
    start, end = production_day(plant, dt.date(2026, 10, 31))
    assert start == dt.datetime(2026, 10, 31, 6, tzinfo=dt.UTC)
    assert end == dt.datetime(2026, 11, 1, 7, tzinfo=dt.UTC)
