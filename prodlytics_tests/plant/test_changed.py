"""Which computed days a changed plant file reaches, and in which words."""

from __future__ import annotations

import datetime as dt
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodlytics.datasets.registry import DERIVED
from prodlytics.plant.calendar import production_day
from prodlytics.plant.changed import (
    InstallationChangedError,
    Reached,
    as_plant,
    changes,
    reached,
    recorded,
    refuse_moved,
)
from prodlytics.plant.in_force import READERS, settings_in_force
from prodlytics.plant.load import load_plant
from prodlytics.plant.model import Plant
from prodlytics.settings import DEMO_PLANT
from prodlytics_tests.plant.small_plant import THREE_SHIFTS, small_plant
from prodlytics_tests.plant.test_calendar_brute_force import DAY_MIN, exceptions, shifts, watched

#: From the plan to the figures; a dataset beside them has its own expectations.
DATASETS = (
    "plan_calendar", "production_events", "machine_states", "downtime_events", "scrap_events", "machine_time",
    "oee_hourly", "oee_shift", "kpi_rollup", "losses", "data_quality",
)  # fmt: skip
FIRST = dt.date(2026, 10, 28)
DAYS = [FIRST + dt.timedelta(days=n) for n in range(8)]

MACHINE: dict[str, Any] = {
    "id": "M1",
    "name": "One",
    "line": "L1",
    "state": {"map": {"1": "running", "2": "idle"}},
    "counters": [{"metric": "Good", "counts": "good"}, {"metric": "Reject", "counts": "reject"}],
    "ideal_cycle_time_ms": 60000,
    "machine_rate_per_h": 60,
    "labor_rate_per_h": 30,
}
OTHER = {**MACHINE, "id": "M2", "name": "Two", "line": "L2"}
PARTS = [{"number": "P30", "name": "Thirty", "ideal_cycle_time_ms": {"M1": 50000, "M2": 50000}}]


def plant(machine: dict[str, Any] | None = None, **more: Any) -> Plant:
    """A plant with machines M1 and M2; settings of M1 or of the plant replaced."""
    return small_plant(**{"machines": [{**MACHINE, **(machine or {})}, OTHER], "parts": PARTS, **more})


def found(old: Plant, new: Plant, reports: list[dt.date] | None = None) -> list[Reached]:
    """What is reached when both machines have computed all days."""
    return reached(old, new, {"M1": DAYS, "M2": DAYS}, DATASETS, reports or [])


def days_of(some: list[Reached]) -> dict[str, set[str]]:
    """Dataset to the days reached, of any machine."""
    return {name: {one.day.isoformat() for one in some if one.dataset == name} for name in {s.dataset for s in some}}


def since(date: str, before: float, after: float) -> list[dict[str, Any]]:
    return [{"since": "1970-01-01", "value": before}, {"since": date, "value": after}]


EVERY_DAY = {day.isoformat() for day in DAYS}


def test_the_same_file_reaches_nothing() -> None:
    assert found(plant(), plant()) == []
    demo = load_plant(DEMO_PLANT)
    assert found(demo, as_plant(recorded(demo))) == []


def test_a_new_step_reaches_its_day_and_later_ones_only() -> None:
    new = plant({"ideal_cycle_time_ms": since("2026-11-02", 60000, 40000)})
    some = found(plant(), new)
    assert {one.machine_id for one in some} == {"M1"}
    assert min(one.day for one in some) == dt.date(2026, 11, 2)
    # The shortest cycle was the part's 50 s and is now the machine's 40 s: another count is plausible.
    elements = {"scrap_events", "oee_hourly", "oee_shift", "kpi_rollup", "losses"}
    assert set(days_of(some)) == {"production_events", *elements}
    assert {one.cause for one in some if one.dataset in elements} == {
        "plant file: ideal_cycle_time_ms of M1: 60000 -> 40000"
    }


def test_the_words_name_part_and_machine() -> None:
    old = plant(parts=[{"number": "BR-1001", "name": "B", "ideal_cycle_time_ms": {"M1": 62500}}])
    # The new value is the machine's own: that the part is named makes no difference any more, but it is said.
    new = plant(parts=[{"number": "BR-1001", "name": "B", "ideal_cycle_time_ms": {"M1": 60000}}])
    causes = {one.cause for one in found(old, new) if one.dataset == "oee_hourly"}
    assert causes == {"plant file: ideal_cycle_time_ms of BR-1001 on M1: 62500 -> 60000"}


def test_a_part_with_the_ideal_cycle_it_had_anyway_reaches_nothing_but_the_line() -> None:
    new = plant(parts=[*PARTS, {"number": "P99", "name": "New", "ideal_cycle_time_ms": {"M1": 60000}}])
    # Lines look at who has a cycle of its own for a part, to find the machines that make it.
    assert set(days_of(found(plant(), new))) == {"kpi_rollup"}


def test_a_first_step_says_nothing_about_the_days_before() -> None:
    parts = [
        *PARTS,
        {"number": "P99", "name": "New", "ideal_cycle_time_ms": {"M1": [{"since": "2026-11-01", "value": 9}]}},
    ]
    some = found(plant(), plant(parts=parts))
    assert min(one.day for one in some) == dt.date(2026, 11, 1)


def test_a_night_shift_takes_its_setting_over_the_boundary() -> None:
    """The shift of Sunday the 1st ends at 07:00 on Monday, in the production day of Monday: it still is of the 1st."""
    late = [{**THREE_SHIFTS[0], "start": "07:00"}, THREE_SHIFTS[1], {**THREE_SHIFTS[2], "end": "07:00"}]
    old = plant(shift_plans=[{"shifts": late}])
    history = [*since("2026-11-01", 120, 60), {"since": "2026-11-02", "value": 120}]
    new = plant({"micro_stop_s": history}, shift_plans=[{"shifts": late}])
    assert days_of(found(old, new)) == {"downtime_events": {"2026-11-01", "2026-11-02"}}
    # Where shifts end with the day it is that day alone.
    assert days_of(found(plant(), plant({"micro_stop_s": history}))) == {"downtime_events": {"2026-11-01"}}


def test_a_holiday_reaches_its_day() -> None:
    some = found(plant(), plant(holidays=[{"date": "2026-10-30", "name": "Founders' day"}]))
    assert days_of(some) == {"plan_calendar": {"2026-10-30"}}
    assert {one.cause for one in some} == {"plant file: holiday 2026-10-30: nothing -> Founders' day"}
    assert {one.machine_id for one in some} == {"M1", "M2"}


def test_a_holiday_reaches_the_next_day_where_its_night_shift_would_end() -> None:
    late = [{**THREE_SHIFTS[0], "start": "07:00"}, THREE_SHIFTS[1], {**THREE_SHIFTS[2], "end": "07:00"}]
    old = plant(shift_plans=[{"shifts": late}])
    new = plant(shift_plans=[{"shifts": late}], holidays=[{"date": "2026-10-30", "name": "Founders' day"}])
    assert days_of(found(old, new)) == {"plan_calendar": {"2026-10-30", "2026-10-31"}}


def test_weekdays_of_a_shift_reach_the_days_that_lose_it() -> None:
    shortened = deepcopy(THREE_SHIFTS)
    shortened[1]["weekdays"] = ["mon", "tue", "wed", "thu", "fri", "sun"]  # type: ignore[assignment]
    some = found(plant(), plant(shift_plans=[{"shifts": shortened}]))
    assert days_of(some) == {"plan_calendar": {"2026-10-31"}}  # the Saturday
    assert {one.cause for one in some} == {"plant file: Shift 2: 14:30-23:00 -> nothing"}


def test_a_break_is_told_with_its_shift() -> None:
    def with_lunch(start: str) -> Plant:
        shift = {**THREE_SHIFTS[0], "breaks": [{"name": "Lunch", "start": start, "end": "11:30"}]}
        return plant(shift_plans=[{"shifts": [shift, *THREE_SHIFTS[1:]]}])

    causes = {one.cause for one in found(with_lunch("11:00"), with_lunch("11:05"))}
    assert causes == {"plant file: Lunch of Shift 1: 11:00-11:30 -> 11:05-11:30"}


def test_an_exception_for_one_machine_reaches_that_machine() -> None:
    flood = {"kind": "closure", "start": "2026-10-30T22:00", "end": "2026-10-31T08:00", "reason": "Flood"}
    some = found(plant(), plant(exceptions=[{**flood, "machines": ["M2"]}]))
    assert {(one.machine_id, one.day.day) for one in some} == {("M2", 30), ("M2", 31)}
    assert {one.cause for one in some} == {
        "plant file: closure 2026-10-30 22:00: nothing -> until 2026-10-31 08:00, Flood"
    }


TWO_STATES = {"map": {"1": "running", "2": "idle"}}
GOOD_16 = {"metric": "Good", "counts": "good", "width_bits": 16}
MECH_OTHER = {
    "code": "MECH",
    "name": "Mechanical",
    "loss": "other_stop",
    "reasons": [{"code": "MECH_A", "name": "Bearing"}],
}
ELEMENTS = {"oee_hourly", "oee_shift", "kpi_rollup", "losses", "data_quality"}


@pytest.mark.parametrize(
    ("change", "datasets", "words"),
    [
        (
            {"silence_after_s": 60},
            {"production_events", "machine_states", "data_quality"},
            "silence_after_s of M1: 300 -> 60",
        ),
        ({"state": {"map": {"1": "running", "2": "setup"}}}, {"machine_states"}, "state map of M1: 2: idle -> setup"),
        ({"state": {**TWO_STATES, "settle_s": 5}}, {"machine_states"}, "settle_s of M1: nothing -> 5"),
        (
            {"counters": [GOOD_16, MACHINE["counters"][1]]},
            {"production_events"},
            "counter Good of M1: cumulative good -> cumulative good, 16 bits",
        ),
        ({"labor_rate_per_h": 31}, {"scrap_events", "losses"}, "labor_rate_per_h of M1: 30 -> 31"),
        ({"startup_window_min": 10}, {"losses"}, "startup_window_min of M1: nothing -> 10"),
        ({"max_parts_per_s": 2}, {"production_events"}, "max_parts_per_s of M1: nothing -> 2"),
        ({"line": "L9"}, {"kpi_rollup"}, "line of M1: L1 -> L9"),
        ({"name": "Uno"}, set(), ""),
    ],
)
def test_a_setting_of_a_machine_without_a_date_reaches_every_day_of_what_reads_it(
    change: dict[str, Any], datasets: set[str], words: str
) -> None:
    some = found(plant(), plant(change))
    assert days_of(some) == {name: EVERY_DAY for name in datasets}
    assert {one.machine_id for one in some} <= {"M1"}
    assert all(words in one.cause for one in some)


@pytest.mark.parametrize(
    ("change", "datasets", "words"),
    [
        ({"convention": {"changeover": "excluded"}}, ELEMENTS, "changeover: availability_loss -> excluded"),
        (
            {"thresholds": {"performance_suspect": 1.2}},
            {"losses", "data_quality"},
            "thresholds performance_suspect: 1.05 -> 1.2",
        ),
        ({"currency": "EUR"}, {"scrap_events", "losses"}, "currency: USD -> EUR"),
        ({"fault_reasons": {"E1": "MECH_A"}}, {"downtime_events"}, "fault_reasons: E1: nothing -> MECH_A"),
        (
            {"reasons": [MECH_OTHER]},
            {"downtime_events"},
            "reason MECH: Mechanical, loss failure -> Mechanical, loss other",
        ),
        ({"convention": {"performance_cap": "1.0"}}, set(), ""),
        ({"thresholds": {"downtime_alert_min": 3}}, set(), ""),
        ({"contacts": [{"role": "boss", "name": "Ann", "email": "ann@example.com"}]}, set(), ""),
    ],
)
def test_a_setting_of_the_plant_reaches_every_day_of_what_reads_it(
    change: dict[str, Any], datasets: set[str], words: str
) -> None:
    some = found(plant(), plant(**change))
    assert days_of(some) == {name: EVERY_DAY for name in datasets}
    assert all(words in one.cause for one in some)


def test_names_and_thresholds_reach_the_reports() -> None:
    report = [DAYS[2]]
    some = found(plant(), plant({"name": "Uno"}), report)
    assert some == [Reached("daily_report", "*", DAYS[2], "plant file: name of M1: One -> Uno")]
    some = found(plant(), plant(thresholds={"coverage": 0.9}), report)
    assert some == [Reached("daily_report", "*", DAYS[2], "plant file: thresholds coverage: 0.99 -> 0.9")]


def test_machines_that_came_or_went_reach_nothing_of_their_own() -> None:
    both, one = plant(), plant(machines=[MACHINE], parts=[])
    assert {some.machine_id for some in found(both, plant(machines=[MACHINE], parts=PARTS_OF_M1))} <= {"*"}
    assert {some.machine_id for some in found(one, plant(parts=[]))} <= {"*"}


PARTS_OF_M1 = [{"number": "P30", "name": "Thirty", "ideal_cycle_time_ms": {"M1": 50000}}]


def test_many_changes_are_counted_not_listed() -> None:
    reasons = [{"code": f"R{n}", "name": f"Reason {n}", "loss": "failure", "reasons": []} for n in range(9)]
    causes = {one.cause for one in found(plant(reasons=[], fault_reasons={}), plant(reasons=reasons))}
    assert all(cause.endswith(" and 6 more") for cause in causes)


def test_every_derived_dataset_says_what_it_reads() -> None:
    assert set(DERIVED) - {"plan_calendar"} == set(READERS)


def test_a_dataset_nobody_described_reads_everything() -> None:
    old, new = plant(), plant({"name": "Uno"})
    assert settings_in_force(old, "unheard_of", old.machine("M1"), FIRST).values != (
        settings_in_force(new, "unheard_of", new.machine("M1"), FIRST).values
    )


def test_the_fingerprint_is_that_of_the_values() -> None:
    old, new = plant(), plant({"micro_stop_s": since("2026-11-01", 120, 60)})
    before, after = (
        [settings_in_force(one, "downtime_events", one.machine("M1"), day).fingerprint for day in DAYS]
        for one in (old, new)
    )
    assert [a == b for a, b in zip(before, after, strict=True)] == [day < dt.date(2026, 11, 1) for day in DAYS]


@st.composite
def two_calendars(draw: st.DrawFn) -> tuple[Plant, Plant]:
    """A plant and the same with some of its calendar written otherwise."""
    one = {
        "shift_plans": [{"shifts": draw(shifts())}],
        "holidays": [
            {"date": day, "name": "H"} for day in draw(st.lists(st.sampled_from(DAYS), max_size=2, unique=True))
        ],
        "exceptions": draw(exceptions(DAYS[3])),
    }
    other = dict(one)
    which = draw(st.sampled_from(["shift_plans", "holidays", "exceptions"]))
    other[which] = {
        "shift_plans": lambda: [{"shifts": draw(shifts())}],
        "holidays": lambda: [{"date": draw(st.sampled_from(DAYS)), "name": "H"}],
        "exceptions": lambda: draw(exceptions(DAYS[3])),
    }[which]()
    boundary = draw(st.sampled_from(["06:00", "00:00", "05:30", "22:00"]))
    return small_plant(day_boundary=boundary, **one), small_plant(day_boundary=boundary, **other)


@settings(deadline=None, max_examples=40)
@given(two_calendars())
def test_the_days_of_a_changed_calendar_are_those_a_watcher_of_the_clock_sees(plants: tuple[Plant, Plant]) -> None:
    """Minute by minute, by a way that shares nothing with the calendar: no day too few, none too many."""
    old, new = plants
    first = dt.datetime.combine(FIRST - dt.timedelta(days=4), dt.time(), tzinfo=dt.UTC)
    seen = [watched(one, first, 16 * DAY_MIN) for one in plants]
    differing = set()
    for day in DAYS:
        low, high = (int((edge - first).total_seconds() // 60) for edge in production_day(old, day))
        if seen[0][low:high] != seen[1][low:high]:
            differing.add(day)
    assert {one.day for one in reached(old, new, {"M1": DAYS}, ["plan_calendar"], [])} == differing


def test_changes_are_told_setting_by_setting() -> None:
    new = plant(
        {"micro_stop_s": since("2026-11-02", 120, 60), "state": {"map": {"1": "running", "2": "idle", "5": "setup"}}},
        holidays=[{"date": "2026-12-25", "name": "Christmas"}],
        shift_plans=[{"shifts": [{**THREE_SHIFTS[0], "end": "14:00"}, *THREE_SHIFTS[1:]]}],
    )
    assert changes(recorded(plant()), recorded(new)) == [
        ("shift_plans 1970-01-01 shifts Shift 1 end", "14:30", "14:00"),
        ("machines M1 state map 5", None, "setup"),
        ("machines M1 micro_stop_s since 2026-11-02", None, "60"),
        ("holidays 2026-12-25 name", None, "Christmas"),
    ]


def test_people_and_files_are_not_recorded() -> None:
    told = recorded(load_plant(DEMO_PLANT))
    assert not {"contacts", "landing", "feeds", "simulation"} & set(told)


@pytest.mark.parametrize(
    ("name", "value"), [("plant", "other"), ("timezone", "Europe/Berlin"), ("day_boundary", "05:00")]
)
def test_what_was_set_at_installation_cannot_change(name: str, value: str) -> None:
    new = plant(**{name: value})
    with pytest.raises(InstallationChangedError) as error:
        refuse_moved(recorded(plant()), recorded(new))
    said = str(error.value)
    assert f"{name} is '{value}' in the plant file" in said
    assert f"Write {name}: " in said
    assert "\n" not in said
    refuse_moved(recorded(plant()), recorded(plant()))
