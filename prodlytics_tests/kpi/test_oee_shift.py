"""Shifts and parts: time goes to the part in work, and nothing is lost or counted twice against the hours."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodlytics.kpi.oee import ELEMENTS
from prodlytics.kpi.oee_hourly import derive_oee_hourly
from prodlytics.kpi.oee_shift import derive_oee_shift
from prodlytics.plant.calendar import plan_rows
from prodlytics_tests.kpi import floor

MINUTE_US = 60_000_000


def _order(work_order: str, part: str | None, start: float, end: float | None) -> pd.DataFrame:
    return floor.orders((work_order, start, end)).assign(part_number=[part])


def _shifts(said: pd.DataFrame, made: pd.DataFrame, orders: pd.DataFrame, days: int = 1) -> tuple[pd.DataFrame, ...]:
    plant = floor.plant()
    machine = plant.machines[0]
    start, end = floor.at(0), floor.at(days * 1440)
    plan = plan_rows(plant, machine, start, end)
    ledger = floor.ledger_of(plant, said, plan, start, end)
    made = (
        made.assign(since=pd.Series([pd.NaT] * len(made), dtype="datetime64[us, UTC]")) if "since" not in made else made
    )
    shifts = derive_oee_shift(plant, machine, ledger, made, orders, start, end, floor.NOW)
    hours = derive_oee_hourly(plant, machine, ledger, made, start, end, floor.NOW)
    return shifts, hours


def test_a_shift_that_ends_at_half_past_keeps_its_minutes() -> None:
    """Shift 1 ends at 14:30, in the middle of an hour: 510 minutes are its own, 510 shift 2's, 420 shift 3's."""
    shifts, _ = _shifts(floor.states((1440, "running")), floor.events(), floor.orders())
    minutes = dict(zip(shifts["shift"], shifts["planned_time_us"] // MINUTE_US, strict=True))
    assert minutes == {"Shift 1": 510, "Shift 2": 510, "Shift 3": 420}


def test_time_belongs_to_the_order_in_work_and_parts_to_what_they_are() -> None:
    """By hand: P30 from 0 to 100 min with 150 good (75 min ideal), P50 from 100 to 200 with 60 good and 12 rejects."""
    orders = pd.concat([_order("A", "P30", 0, 100), _order("B", "P50", 100, 200)], ignore_index=True)
    made = floor.events((50, 150, 0, 0, "P30"), (150, 60, 0, 0, "P50"), (160, 0, 12, 0, "P50"))
    shifts, _ = _shifts(floor.states((80, "running"), (40, "fault"), (1320, "running")), made, orders)
    rows = shifts[shifts["shift"] == "Shift 1"].set_index("part_number")
    assert list(rows.index) == ["", "P30", "P50"]
    assert (rows.loc["P30", "run_time_us"], rows.loc["P30", "failure_us"]) == (80 * MINUTE_US, 20 * MINUTE_US)
    assert rows.loc["P30", "availability"] == pytest.approx(0.8)
    assert rows.loc["P30", "performance"] == pytest.approx(75 / 80)
    assert rows.loc["P50", "oee"] == pytest.approx(60 * 50 / 60 / 100)
    assert rows.loc["P50", "quality"] == pytest.approx(60 / 72)
    assert rows.loc["", "planned_time_us"] == (510 - 200) * MINUTE_US


def test_of_two_orders_at_once_the_one_started_last_has_the_time() -> None:
    orders = pd.concat([_order("A", "P30", 0, None), _order("B", "P50", 60, 90)], ignore_index=True)
    shifts, _ = _shifts(floor.states((1440, "running")), floor.events(), orders)
    first = shifts[shifts["shift"] == "Shift 1"].set_index("part_number")["planned_time_us"]
    assert (first["P30"] // MINUTE_US, first["P50"] // MINUTE_US) == (480, 30)


def test_a_booking_takes_the_time_it_names() -> None:
    """No order: the booking of 20 P30 from minute 30 to 90, dated at its last microsecond, has that hour."""
    made = floor.events((90, 20, 0, 0, "P30")).assign(
        since=pd.to_datetime([floor.at(30)]).as_unit("us"),
        time=pd.to_datetime([floor.at(90) - dt.timedelta(microseconds=1)]).as_unit("us"),
    )
    shifts, _ = _shifts(floor.states((1440, "running")), made, floor.orders())
    first = shifts[shifts["shift"] == "Shift 1"].set_index("part_number")["run_time_us"]
    assert (first["P30"] // MINUTE_US, first[""] // MINUTE_US) == (60, 450)


@given(
    edges=st.lists(st.integers(1, 1439), unique=True, max_size=8),
    kinds=st.lists(st.sampled_from(["running", "fault", "setup", "idle", "unknown"]), min_size=9, max_size=9),
    times=st.lists(st.integers(1, 1440), max_size=12),
    starts=st.lists(st.tuples(st.integers(0, 1400), st.integers(1, 600), st.sampled_from(["P30", "P50"])), max_size=4),
)
def test_shifts_and_parts_add_up_to_the_hours(
    edges: list[int], kinds: list[str], times: list[int], starts: list[tuple[int, int, str]]
) -> None:
    """Whatever happened: every element of a day is the same by hour as by shift and part, to the microsecond."""
    marks = [0, *sorted(edges), 1440]
    said = floor.states(*((b - a, kind) for a, b, kind in zip(marks, marks[1:], kinds, strict=False)))
    made = floor.events(*((t - 1e-6, 1, 0, 0, ("P30", "P50", None)[t % 3]) for t in sorted(times)))
    orders = pd.concat(
        [floor.orders(), *(_order(f"O{n}", part, at, at + length) for n, (at, length, part) in enumerate(starts))],
        ignore_index=True,
    )
    shifts, hours = _shifts(said, made, orders)
    for column in ELEMENTS:
        assert shifts[column].sum() == pytest.approx(hours[column].sum(), rel=1e-12), column
    assert not shifts.duplicated(["production_date", "shift", "part_number"]).any()
    assert set(shifts["production_date"]) == {dt.date(2026, 3, 2)}
