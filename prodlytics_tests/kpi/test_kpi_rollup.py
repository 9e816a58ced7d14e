"""Roll-ups: published cases at every level, what adds up to what, what has no value, conventions."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodlytics.kpi.kpi_rollup import KEY, LEVELS, derive_kpi_rollup
from prodlytics.kpi.losses import derive_losses, imbalance
from prodlytics.kpi.oee import ELEMENTS, capped, ratios
from prodlytics.kpi.scrap_events import derive_scrap_events
from prodlytics.plant.model import Convention, Plant
from prodlytics_tests.kpi import floor, rolled

FULL = 24 * 60


def rest(planned: float) -> tuple[float, str]:
    return FULL - planned, "not_scheduled"


#: Name, calendar, states, parts, ideal cycle in ms, expected A, P, Q, OEE and how many digits the source prints.
PUBLISHED: list[Any] = [
    pytest.param(
        [(100, "planned"), (15, "break"), (100, "planned"), (30, "break"), (120, "planned"), (15, "break"),
         (100, "planned"), rest(480)],
        [(100, "running"), (15, "idle"), (53, "running"), (47, "fault"), (30, "idle"), (120, "running"), (15, "idle"),
         (100, "running"), (FULL - 480, "off")],
        [(90, 18848), (91, 0, 423)], 1000, (0.888095, 0.861081, 0.978050, 0.747937), 6, id="E1 Vorne, oee.com",
    ),
    pytest.param(
        [(210, "planned"), (60, "break"), (210, "planned"), rest(480)],
        [(168, "running"), (42, "fault"), (60, "idle"), (210, "running"), (FULL - 480, "off")],
        [(100, 294), (110, 0, 6)], 60_000, (0.9, 0.793651, 0.98, 0.70), 6, id="E5 cncoptimization.com",
    ),
    pytest.param(
        [(200, "planned"), (30, "planned_stop"), (250, "planned"), rest(480)],
        [(160, "running"), (40, "setup"), (30, "idle"), (200, "running"), (50, "fault"), (FULL - 480, "off")],
        [(100, 418), (110, 0, 14), (120, 0, 0, 8)], 45_000, (0.8, 0.916667, 0.95, 0.696667), 6, id="E12 ISO 22400",
    ),
    # Nakajima, Introduction to TPM (1988): 480 min, 20 planned, 60 down (breakdowns, set-up, adjustment 20 each), 400
    # pieces at a theoretical cycle of 0.5 min, 2 % rejects. Availability 87 %, performance 50 %, OEE 42.6 %.
    pytest.param(
        [(460, "planned"), (20, "planned_stop"), rest(480)],
        [(400, "running"), (20, "fault"), (40, "setup"), (20, "idle"), (FULL - 480, "off")],
        [(300, 392), (310, 0, 8)], 30_000, (0.870, 0.500, 0.980, 0.426), 3, id="Nakajima",
    ),
    # Wikipedia, Overall equipment effectiveness: 480 min, 30 break, 60 down, 242 units at 1.5 min, 21 defective.
    pytest.param(
        [(240, "planned"), (30, "break"), (210, "planned"), rest(480)],
        [(240, "running"), (30, "idle"), (150, "running"), (60, "fault"), (FULL - 480, "off")],
        [(200, 221), (210, 0, 21)], 90_000, (0.8667, 0.9308, 0.9132, 0.7367), 4, id="Wikipedia",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("plan", "states", "made", "cycle_ms", "expected", "digits"), PUBLISHED)
def test_published_cases_at_every_level(
    plan: Any, states: Any, made: Any, cycle_ms: float, expected: tuple[float, ...], digits: int
) -> None:
    plant = floor.plant({"ideal_cycle_time_ms": cycle_ms})
    rows = rolled.rollup_of(plant, floor.states(*states), floor.calendar(*plan), floor.events(*made))
    for level, period in (("machine", "day"), ("machine", "week"), ("line", "day"), ("plant", "week"), ("part", "day"),
                          ("family", "week")):  # fmt: skip
        row = rolled.one(rows, level, period)
        told = tuple(round(row[name], digits) for name in ("availability", "performance", "quality", "oee"))
        assert told == expected, (level, period)
    of_shift = rolled.one(rows, "machine", "shift", shift="Shift 1")
    assert round(of_shift["oee"], digits) == expected[3]


def test_e12_all_ratios_of_iso_22400() -> None:
    """With the order in work for 480 minutes: production process ratio 360 / 480, throughput rate 440 / 8 h."""
    orders = floor.orders(("W1", 0, 480)).assign(part_number=["P30"])
    parts = [{"number": "P30", "name": "Part", "family": "F", "ideal_cycle_time_ms": {"M1": 45_000}}]
    rows = rolled.rollup_of(
        floor.plant(parts=parts),
        floor.states((160, "running"), (40, "setup"), (30, "idle"), (200, "running"), (50, "fault"), (960, "off")),
        floor.calendar((200, "planned"), (30, "planned_stop"), (250, "planned"), rest(480)),
        floor.events((100, 418, 0, 0, "P30"), (110, 0, 14, 0, "P30"), (120, 0, 0, 8, "P30")),
        orders=orders,
    )
    expected = {
        "availability": 0.8, "performance": 0.916667, "quality": 0.95, "oee": 0.696667, "nee_index": 0.774074,
        "technical_efficiency": 0.878049, "setup_ratio": 0.1, "utilization_efficiency": 0.8,
        "allocation_efficiency": 1.0, "scrap_ratio": 0.031818, "rework_ratio": 0.018182, "first_pass_yield": 0.95,
        "production_process_ratio": 0.75, "throughput_rate_per_h": 55.0, "throughput_per_h": 58.666667,
    }  # fmt: skip
    for level, member in (("machine", "M1"), ("plant", "floor"), ("part", "P30"), ("family", "F")):
        row = rolled.one(rows, level, "day", member=member)
        assert {name: round(row[name], 6) for name in expected} == expected, level


def test_set_up_outside_planned_time_is_still_busy_time_for_iso() -> None:
    """Convention changeover=excluded: OEE over 410 min, but NEE, allocation and utilisation stay those of E12."""
    rows = rolled.rollup_of(
        floor.plant({"ideal_cycle_time_ms": 45_000}, convention={"changeover": "excluded"}),
        floor.states((160, "running"), (40, "setup"), (200, "running"), (50, "fault"), (990, "off")),
        floor.calendar((450, "planned"), rest(450)),
        floor.events((100, 418), (110, 0, 14), (120, 0, 0, 8)),
    )
    row = rolled.one(rows, "machine", "day")
    assert row["oee"] == pytest.approx(418 * 0.75 / 410)
    assert (round(row["nee_index"], 6), row["allocation_efficiency"]) == (0.774074, 1.0)


def test_e13_e14_e15_over_shifts_days_and_weeks() -> None:
    """Two hours of E14 in two shifts: OEE .525, A .55, P .954545; E15 over two days: .78 and not .60."""
    e14 = rolled.shift_rows(
        {"planned_time_us": 60, "run_time_us": 60, "ideal_time_us": 60, "ideal_good_time_us": 60, "good_count": 60},
        {"shift": "Shift 2", "planned_time_us": 60, "run_time_us": 6, "ideal_time_us": 3, "ideal_good_time_us": 3,
         "good_count": 3, "failure_us": 54},
    )  # fmt: skip
    day = rolled.one(_derive(floor.plant(), e14), "machine", "day")
    assert (round(day["availability"], 6), round(day["performance"], 6), round(day["oee"], 6)) == (
        0.55,
        0.954545,
        0.525,
    )
    e15 = rolled.shift_rows(
        {"planned_time_us": 60, "run_time_us": 60, "ideal_time_us": 54, "ideal_good_time_us": 54, "good_count": 54},
        {"production_date": floor.DAY + dt.timedelta(days=1), "planned_time_us": 15, "run_time_us": 15,
         "ideal_time_us": 4.5, "ideal_good_time_us": 4.5, "good_count": 4.5},
    )  # fmt: skip
    assert round(rolled.one(_derive(floor.plant(), e15), "machine", "week")["oee"], 6) == 0.78
    e13 = rolled.shift_rows(
        {"part_number": "P30", "planned_time_us": 50, "run_time_us": 50, "ideal_time_us": 50, "ideal_good_time_us": 50,
         "good_count": 100},
        {"part_number": "P50", "planned_time_us": 70, "run_time_us": 70, "ideal_time_us": 50, "ideal_good_time_us": 50,
         "good_count": 60},
    )  # fmt: skip
    rows = _derive(floor.plant(), e13)
    assert round(rolled.one(rows, "plant", "day")["performance"], 6) == 0.833333
    assert rolled.one(rows, "part", "day", member="P50")["performance"] == pytest.approx(50 / 70)


def _derive(plant: Plant, shifts: pd.DataFrame) -> pd.DataFrame:
    shifts = shifts.assign(convention=[code or plant.convention.code for code in shifts["convention"]])
    return derive_kpi_rollup(plant, shifts, rolled.no_stops(), rolled.no_plan(), floor.NOW)


# ---- what has no value, and why --------------------------------------------------------------------------------------
def test_nothing_planned_has_a_row_without_ratios_and_a_machine_down_has_oee_0() -> None:
    closed = {"machine_id": "M1", "not_scheduled_us": 510}
    down = {"production_date": floor.DAY + dt.timedelta(days=1), "planned_time_us": 510, "failure_us": 510}
    rows = _derive(floor.plant(), rolled.shift_rows(closed, down))
    first = rolled.one(rows, "machine", "day", period_start=floor.DAY)
    second = rolled.one(rows, "machine", "day", period_start=floor.DAY + dt.timedelta(days=1))
    assert first[["availability", "performance", "quality", "oee", "nee_index"]].isna().all()
    assert first["null_reason"] == "no_planned_time"
    assert (second["availability"], second["oee"], second["null_reason"]) == (0, 0, "no_parts")
    assert rolled.one(rows, "machine", "week")["oee"] == 0


def test_no_row_gives_no_row() -> None:
    assert _derive(floor.plant(), rolled.shift_rows({})[:0]).empty


def test_rows_of_two_conventions_are_not_divided() -> None:
    mixed = rolled.shift_rows({"planned_time_us": 60, "convention": "a"}, {"shift": "Shift 2", "convention": "b"})
    rows = _derive(floor.plant(), mixed)
    assert rolled.one(rows, "machine", "shift", shift="Shift 1")["oee"] == 0
    day = rolled.one(rows, "machine", "day")
    assert (day["null_reason"], day["convention"]) == ("mixed_conventions", "a | b")
    assert pd.isna(day["oee"])


def test_a_part_without_family_and_parts_nobody_named_keep_their_time() -> None:
    rows = _derive(
        floor.plant(),
        rolled.shift_rows({"part_number": "P30", "planned_time_us": 10}, {"planned_time_us": 5}),
    )
    assert rolled.one(rows, "part", "day", member="")["planned_time_us"] == 5 * rolled.MINUTE
    assert rolled.one(rows, "family", "day", member="")["planned_time_us"] == 15 * rolled.MINUTE


# ---- adding up -------------------------------------------------------------------------------------------------------
#: A roll-up of five levels is some hundred calls of pandas: 0.1 s, however few rows there are.
FEW = settings(deadline=None, max_examples=20)
COUNT = st.integers(0, 500)
MINUTES = st.integers(0, 300)


@st.composite
def shift_frames(draw: st.DrawFn) -> pd.DataFrame:
    keys = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["M1", "M2"]), st.integers(0, 16), st.sampled_from(["", "Shift 1", "Shift 2"]),
                st.sampled_from(["", "P30", "P50"]),
            ),
            unique=True, min_size=1, max_size=14,
        )
    )  # fmt: skip
    rows = []
    for machine, day, shift, part in keys:
        good, bad, rework = draw(st.tuples(COUNT, COUNT, COUNT))
        running, failure, setup = draw(st.tuples(MINUTES, MINUTES, MINUTES))
        cycle = {"P30": 0.5, "P50": 0.8125, "": 1.0}[part]
        known = draw(st.booleans()) or not good + bad + rework
        rows.append(
            {
                "machine_id": machine, "production_date": floor.DAY + dt.timedelta(days=day), "shift": shift,
                "part_number": part, "good_count": good, "reject_count": bad, "rework_count": rework,
                "running_us": running, "run_time_us": running, "failure_us": failure, "changeover_us": setup,
                "planned_time_us": running + failure + setup, "not_scheduled_us": draw(MINUTES),
                "ideal_time_us": (good + bad + rework) * cycle if known else np.nan,
                "ideal_good_time_us": good * cycle if known else np.nan,
            }
        )  # fmt: skip
    return rolled.shift_rows(*rows)


PLANT = rolled.several_machines(
    {"id": "M1", "name": "One"}, {"id": "M2", "name": "Two"}, lines=[{"id": "L1", "oee": "sum"}]
)


@FEW
@given(frame=shift_frames(), shuffle=st.randoms(use_true_random=False))
def test_any_order_of_rows_and_any_way_of_adding_up_give_the_same(frame: pd.DataFrame, shuffle: Any) -> None:
    rows = _derive(PLANT, frame)
    order = list(range(len(frame)))
    shuffle.shuffle(order)
    pd.testing.assert_frame_equal(rows, _derive(PLANT, frame.iloc[order]))
    assert not rows.duplicated(KEY).any()
    for level in LEVELS:
        of_level = rows[rows["level"] == level]
        week = of_level[of_level["period"] == "week"].groupby("member")[list(ELEMENTS)].sum(min_count=0)
        for period in ("shift", "day"):
            finer = of_level[of_level["period"] == period].groupby("member")[list(ELEMENTS)].sum(min_count=0)
            complete = ~of_level.groupby("member")["ideal_time_us"].apply(lambda times: times.isna().any())
            pd.testing.assert_frame_equal(finer[complete], week[complete], rtol=1e-12)
        # A level adds up to what it was made from, to the microsecond.
        whole = of_level[of_level["period"] == "week"]
        assert whole["planned_time_us"].sum() == frame["planned_time_us"].sum()
        assert whole["good_count"].sum() == frame["good_count"].sum()


@FEW
@given(frame=shift_frames())
def test_ratios_multiply_at_every_level_and_nothing_is_divided_by_zero(frame: pd.DataFrame) -> None:
    rows = _derive(PLANT, frame)
    numbers = rows.select_dtypes("float64")
    assert not np.isinf(numbers.to_numpy()).any()
    told = rows.dropna(subset=["availability", "performance", "quality", "oee"])
    product = told["availability"] * told["performance"] * told["quality"]
    assert product.to_numpy() == pytest.approx((told["ideal_good_time_us"] / told["planned_time_us"]).to_numpy())
    unplanned = rows[rows["planned_time_us"] == 0]
    assert unplanned[["availability", "performance", "quality", "oee"]].isna().all(axis=None)
    assert unplanned["null_reason"].notna().all()
    assert (rows["oee"].notna() | rows["null_reason"].notna()).all()


@FEW
@given(frame=shift_frames(), half=st.integers(0, 16))
def test_a_week_alone_is_the_same_as_in_a_month(frame: pd.DataFrame, half: int) -> None:
    """Whatever other weeks are computed with it: idempotent, in any pieces of whole weeks."""
    monday = floor.DAY + dt.timedelta(days=half - half % 7)
    assert monday.weekday() == 0
    of_week = [monday + dt.timedelta(days=n) for n in range(7)]
    together, alone = _derive(PLANT, frame), _derive(PLANT, frame[frame["production_date"].isin(of_week)])
    together = together[together["period_start"].isin(of_week)].reset_index(drop=True)
    assert len(together) == len(alone)
    if len(alone):
        pd.testing.assert_frame_equal(together, alone.reset_index(drop=True))


def test_a_fingerprint_changes_with_what_the_row_is_made_of_and_with_nothing_else() -> None:
    first, second = {"planned_time_us": 60, "fingerprint": "a"}, {"shift": "Shift 2", "fingerprint": "b"}
    before = _derive(floor.plant(), rolled.shift_rows(first, second)).set_index(KEY)["fingerprint"]
    after = _derive(floor.plant(), rolled.shift_rows(first, {**second, "fingerprint": "c"})).set_index(KEY)[
        "fingerprint"
    ]
    changed = {key[2:] for key in before[before != after].index}
    assert changed == {("shift", floor.DAY, "Shift 2"), ("day", floor.DAY, ""), ("week", floor.DAY, "")}


# ---- conventions -----------------------------------------------------------------------------------------------------
def _with_break(break_running: str) -> tuple[pd.DataFrame, pd.Series[Any]]:
    """60 min planned, 30 break, 60 planned; runs all the time with a part a minute, 25 of 30 in the break good."""
    plant = floor.plant(convention={"break_running": break_running})
    plan = floor.calendar((60, "planned"), (30, "break"), (60, "planned"), rest(150))
    made = floor.events((60, 60), (89, 25), (90, 0, 4, 1), (150, 60))
    said = floor.states((150, "running"), (FULL - 150, "off"))
    hours = floor.hours_of(plant, said, plan, made, floor.at(0), floor.at(FULL))
    return hours, rolled.one(rolled.rollup_of(plant, said, plan, made), "machine", "day")


def test_producing_in_a_break_extends_planned_time() -> None:
    _, day = _with_break("planned")
    assert (day["planned_time_us"], day["good_count"], day["off_plan_good_count"]) == (150 * rolled.MINUTE, 145, 0)
    assert day["performance"] == pytest.approx(1.0)


def test_producing_in_a_break_can_be_kept_out_of_oee_with_its_parts() -> None:
    hours, day = _with_break("excluded")
    assert (day["planned_time_us"], day["run_time_us"]) == (120 * rolled.MINUTE, 120 * rolled.MINUTE)
    assert (day["running_us"], day["off_plan_run_us"]) == (150 * rolled.MINUTE, 30 * rolled.MINUTE)
    assert (day["good_count"], day["off_plan_good_count"], day["off_plan_reject_count"]) == (120, 25, 5)
    assert (day["performance"], day["oee"]) == (1.0, 1.0)
    assert "break_running=excluded" in day["convention"]
    assert hours["off_plan_run_us"].sum() == day["off_plan_run_us"]
    assert hours["off_plan_good_count"].sum() == 25


def test_losses_balance_when_breaks_are_kept_out() -> None:
    """60 + 30 minutes run in planned time, 60 parts of a minute: 30 minutes of reduced speed, none from the break."""
    plant = floor.plant(convention={"break_running": "excluded"})
    plan = floor.calendar((60, "planned"), (30, "break"), (60, "planned"), rest(150))
    said = floor.states((120, "running"), (30, "fault"), (FULL - 120, "off"))
    made = floor.events((50, 40), (80, 30), (81, 0, 3), (110, 20))
    machine, start, end = plant.machines[0], floor.at(0), floor.at(FULL)
    ledger = floor.ledger_of(plant, said, plan, start, end)
    scrap = derive_scrap_events(plant, machine, made, floor.entries(), floor.costs(), plan, start, end, floor.NOW)
    shifts = rolled.shifts_of(plant, said, plan, made, FULL)
    inputs = (ledger, ledger[:0], made, floor.orders(), scrap, shifts)
    losses = derive_losses(plant, machine, *inputs, start, end, floor.NOW)
    assert imbalance(shifts, losses).empty
    assert losses.groupby("loss")["loss_us"].sum()["reduced_speed"] == pytest.approx(30 * rolled.MINUTE)


def test_a_cap_is_for_display_and_never_stored() -> None:
    convention = Convention.model_validate({"performance_cap": 1.0})
    assert capped(1.25, 0.9, convention) == (1.0, pytest.approx(0.72))
    assert capped(1.25, 0.9, Convention()) == (1.25, 0.9)
    assert capped(None, None, convention) == (None, None)
    assert convention.code == Convention().code
    fast = {"planned_time_us": 60, "run_time_us": 60, "ideal_time_us": 90, "ideal_good_time_us": 90, "good_count": 90}
    row = rolled.one(_derive(floor.plant(convention={"performance_cap": 1.0}), rolled.shift_rows(fast)), "plant", "day")
    assert row["performance"] == 1.5


@FEW
@given(frame=shift_frames())
def test_the_same_ratios_as_the_hour(frame: pd.DataFrame) -> None:
    """One function divides: a group of one row has that row's ratios."""
    single = frame[:1].assign(convention=PLANT.convention.code)
    own = ratios(single, PLANT.convention).iloc[0]
    row = rolled.one(_derive(PLANT, single), "machine", "shift")
    for name in ("availability", "performance", "quality", "oee"):
        assert (pd.isna(own[name]) and pd.isna(row[name])) or own[name] == row[name]
