"""Losses: planned time is good parts plus losses at every level, and what they cost, worked out by hand."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodlytics.kpi.losses import derive_losses, imbalance, loss_tree
from prodlytics.kpi.oee_shift import derive_oee_shift
from prodlytics.kpi.scrap_events import derive_scrap_events
from prodlytics.plant.calendar import plan_rows, production_day
from prodlytics.plant.model import Plant
from prodlytics_tests.kpi import floor
from prodlytics_tests.kpi.floor import at, calendar, costs, entries, entry, events, states

COSTS = costs(("P30", "2026-01-01", 2.0))
GROUP = ["machine_id", "production_date", "shift", "part_number"]


def orders(*rows: tuple[str, float, float | None]) -> pd.DataFrame:
    """(part, start, end) in minutes."""
    known = floor.orders(*((f"O{number}", start, end) for number, (_, start, end) in enumerate(rows)))
    return known.assign(part_number=pd.Series([part for part, _, _ in rows], dtype=object))


def derived(
    said: pd.DataFrame,
    plan: pd.DataFrame,
    made: pd.DataFrame,
    people: pd.DataFrame | None = None,
    plant: Plant | None = None,
    worked: pd.DataFrame | None = None,
    window: tuple[dt.datetime, dt.datetime] = (at(0), at(480)),
    prices: pd.DataFrame = COSTS,
    shuffled: int | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Shifts and losses of the machine, through ledger, stops and scrap."""
    plant, people = plant or floor.plant(), entries() if people is None else people
    worked = orders() if worked is None else worked
    machine, (start, end) = plant.machines[0], window
    far = start - dt.timedelta(days=30)
    whole = floor.ledger_of(plant, said, plan, far if plan["starts_at"].min() <= far else start, end, people)
    ledger, before = whole[whole["starts_at"] >= start], whole[whole["starts_at"] < start]
    made = made[(made["time"] >= start) & (made["time"] < end)].reset_index(drop=True)
    scrap = derive_scrap_events(plant, machine, made, people, prices, plan, start, end, floor.NOW)
    shifts = derive_oee_shift(plant, machine, ledger, made, worked, start, end, floor.NOW)
    frames = [ledger, before, made, worked, scrap, shifts]
    if shuffled is not None:
        frames = [frame.sample(frac=1, random_state=shuffled) for frame in frames]
    return shifts, derive_losses(plant, machine, *frames, start, end, floor.NOW)


def tree_of(*args: Any, **more: Any) -> dict[tuple[str, str], tuple[float, float]]:
    tree = loss_tree(derived(*args, **more)[1])
    assert set(tree["machine_id"]) <= {"M1"}
    return {
        (row["loss"], row["reason_code"]): (round(row["minutes"], 9), round(row["cost"], 6))
        for row in tree.to_dict("records")
    }


def test_a_shift_by_hand() -> None:
    # 480 planned; an hour costs 60 for the machine and 30 for its people, a minute 1.50: 30 fault (20 of them with a
    # reason), 20 no material, 15 set-up and the minute after it (one stop), 414 running; 700 good, 10 rejects for
    # burrs, 4 start-up pieces, 6 nobody explained, at 30 s: 720 x 0.5 = 360 min.
    said = states(
        (100, "running"), (30, "fault"), (100, "running"), (20, "starved"), (15, "setup"), (1, "idle"), (214, "running")
    )  # fmt: skip
    people = entries(
        entry(110, 130, reason_code="MECH_A"),
        entry(230, 250, reason_code="MATL_A"),
        entry(10, 30, kind="scrap", quantity=10, scrap_reason="burr", scrap_category="SURFACE"),
        entry(30, 50, kind="scrap", quantity=4, scrap_category="STARTUP"),
    )
    made = events((20, 0, 12, 0, "P30"), (40, 0, 8, 0, "P30"), (90, 700, 0, 0, "P30"))
    # Material 2.00, half a minute of people at 30 an hour and of the machine at 60 an hour.
    piece = 2.0 + 0.25 + 0.5
    assert tree_of(said, calendar((480, "planned")), made, people, worked=orders(("P30", 0, None))) == {
        ("unplanned_stop", ""): (10 + 1, 16.5),
        ("unplanned_stop", "MECH_A"): (20, 30),
        ("unplanned_stop", "MATL_A"): (20, 30),
        ("changeover", ""): (15, 22.5),
        ("reduced_speed", ""): (414 - 360, 81),
        ("defects", "burr"): (5, 10 * piece),
        ("defects", ""): (3, 6 * piece),
        ("startup", "STARTUP"): (2, 4 * piece),
    }


def test_the_published_shift_of_the_oee_primer() -> None:
    """Vorne / oee.com: 480 min with 60 of breaks and 47 of stops, 1.0 s, 19,271 made, 423 rejected; OEE 74.79 %.

    Losses by hand: 47 stops, 373 - 19271/60 = 51.8167 speed, 423/60 = 7.05 rejects; 420 - 105.8667 = 18848/60 good.
    """
    plant = floor.plant({"ideal_cycle_time_ms": 1000})
    plan = calendar((100, "planned"), (15, "break"), (125, "planned"), (30, "break"), (110, "planned"), (15, "break"),
                    (85, "planned"))  # fmt: skip
    said = states((100, "running"), (15, "idle"), (125, "running"), (30, "idle"), (110, "running"), (15, "idle"),
                  (38, "running"), (47, "fault"))  # fmt: skip
    tree = tree_of(said, plan, events((90, 18848), (91, 0, 423)), plant=plant)
    minutes = {loss: value for (loss, _), (value, _) in tree.items()}
    assert minutes == pytest.approx({"unplanned_stop": 47, "reduced_speed": 373 - 19271 / 60, "defects": 7.05})
    assert 1 - sum(minutes.values()) / 420 == pytest.approx(0.747937, abs=5e-7)


def test_money_over_a_day_on_which_everything_gets_dearer() -> None:
    """By hand: rates and material of each production day.

    On 2 March an hour costs 60 + 30, on 3 March 90 + 36; material of P30 2.00, then 2.40. An hour of failure reaches
    from half an hour before the boundary to half an hour after it. 4 rejects before it at 30 s (2 min, of which
    machine 2.00, people 1.00, material 8.00), 6 after it (3 min: 4.50, 1.80, 14.40).
    """
    plant = floor.plant(
        {
            "machine_rate_per_h": [{"since": "2026-01-01", "value": 60}, {"since": "2026-03-03", "value": 90}],
            "labor_rate_per_h": [{"since": "2026-01-01", "value": 30}, {"since": "2026-03-03", "value": 36}],
        }
    )
    window = (at(0), at(2880))
    _, losses = derived(
        states((1410, "running"), (60, "fault"), (1410, "running")),
        plan_rows(plant, plant.machines[0], *window),
        events((600, 0, 4, 0, "P30"), (1600, 0, 6, 0, "P30")),
        plant=plant,
        worked=orders(("P30", 0, None)),
        window=window,
        prices=costs(("P30", "2026-01-01", 2.0), ("P30", "2026-03-03", 2.4)),
    )
    found = loss_tree(losses, ["production_date", "loss"]).set_index(["production_date", "loss"])
    first, second = floor.DAY, floor.DAY + dt.timedelta(days=1)
    money = ["minutes", "material_cost", "labor_cost", "machine_cost", "cost"]
    stops, scrap = found.xs("unplanned_stop", level="loss"), found.xs("defects", level="loss")
    assert stops.loc[first, money].tolist() == pytest.approx([30, np.nan, 15, 30, 45], nan_ok=True)
    assert stops.loc[second, money].tolist() == pytest.approx([30, np.nan, 18, 45, 63], nan_ok=True)
    assert scrap.loc[first, money].tolist() == pytest.approx([2, 8.0, 1.0, 2.0, 11.0])
    assert scrap.loc[second, money].tolist() == pytest.approx([3, 14.4, 1.8, 4.5, 20.7])
    # One stop, counted where it began.
    assert stops["occurrences"].tolist() == [1, 0]
    assert losses["cost_reason"].isna().all()


def test_a_day_alone_is_the_same_as_in_a_longer_window() -> None:
    """A stop over the boundary is counted where it began, also when only the second day is computed."""
    plant = floor.plant({"startup_window_min": 30})
    said = states((1400, "running"), (100, "fault"), (1380, "running"))
    plan = plan_rows(plant, plant.machines[0], at(0), at(2880))
    people = entries(entry(1420, 1440, reason_code="MECH_A"), entry(1450, 1500, reason_code="MATL_A"))
    made = events((1380, 5, 2), (1505, 5, 3), (1600, 5, 1))
    more = {"plant": plant, "people": people}
    _, whole = derived(said, plan, made, window=(at(0), at(2880)), **more)
    far = plan_rows(plant, plant.machines[0], at(-40 * 1440), at(2880))
    earlier = floor.state_spans([(at(-40 * 1440), at(0), "running", None)])
    _, alone = derived(pd.concat([earlier, said]), far, made, window=(at(1440), at(2880)), **more)
    day = floor.DAY + dt.timedelta(days=1)
    pd.testing.assert_frame_equal(whole[whole["production_date"] == day].reset_index(drop=True), alone)
    stops = alone[alone["loss"] == "unplanned_stop"].set_index("reason_code")
    assert stops["occurrences"].to_dict() == {"": 0, "MATL_A": 1}


def test_micro_stops_have_their_own_loss() -> None:
    said = states((100, "running"), (1, "idle"), (379, "running"))
    tree = tree_of(said, calendar((480, "planned")), events((90, 479)))
    assert tree == {("micro_stop", ""): (1, 1.5)}


@pytest.mark.parametrize(("good", "flag"), [(500, "faster_than_ideal"), (504, "faster_than_ideal"),
                                            (505, "ideal_cycle_suspect"), (450, None)])  # fmt: skip
def test_faster_than_the_ideal_cycle_is_negative_and_flagged(good: int, flag: str | None) -> None:
    """Above 105 % of 480 minutes (504 parts of a minute) the ideal cycle is suspect."""
    _, losses = derived(states((480, "running")), calendar((480, "planned")), events((90, good)))
    (row,) = losses.to_dict("records")
    assert (row["loss"], row["loss_us"], row["flag"]) == ("reduced_speed", (480 - good) * 60e6, flag)
    assert row["cost"] == pytest.approx((480 - good) * 1.5)


def test_reworked_parts_are_defects_by_default_and_cost_time() -> None:
    made = events((90, 470), (91, 0, 0, 10))
    tree = tree_of(states((480, "running")), calendar((480, "planned")), made)
    assert tree == {("defects", ""): (10, 15)}
    good = floor.plant(convention={"rework_is_good": True})
    assert tree_of(states((480, "running")), calendar((480, "planned")), made, plant=good) == {}


def test_running_time_that_cannot_be_judged_is_named_so() -> None:
    plant = floor.plant({"ideal_cycle_time_ms": None})
    tree = tree_of(
        states((480, "running")),
        calendar((480, "planned")),
        events((90, 500), (300, 100, 0, 0, "P30")),
        plant=plant,
        worked=orders(("P30", 240, None)),
    )
    assert tree == {("no_ideal_cycle", ""): (240, 360), ("reduced_speed", ""): (240 - 50, 285)}


@pytest.mark.parametrize(
    ("machine", "cost", "reason"),
    [
        ({"machine_rate_per_h": None}, 240, "no_labor_rate"),
        ({"labor_rate_per_h": None}, 480, "no_labor_rate"),
        ({"machine_rate_per_h": None, "labor_rate_per_h": None}, None, "no_labor_rate, no_machine_rate"),
    ],
)
def test_money_that_is_not_known_is_named(machine: dict[str, Any], cost: float | None, reason: str) -> None:
    plant = floor.plant(machine)
    _, losses = derived(states((480, "fault")), calendar((480, "planned")), events(), plant=plant)
    (row,) = losses.to_dict("records")
    assert row["loss_us"] == 480 * 60e6
    assert pd.isna(row["cost"]) if cost is None else row["cost"] == pytest.approx(cost)
    assert row["cost_reason"] == ("no_machine_rate" if cost == 240 else reason)


def test_scrap_without_a_price_or_an_ideal_cycle_says_so() -> None:
    plant = floor.plant({"ideal_cycle_time_ms": None})
    made = events((90, 0, 4, 0, "P30"), (95, 0, 2, 0, "P99"))
    _, losses = derived(
        states((480, "running")), calendar((480, "planned")), made, plant=plant, prices=costs(), worked=orders()
    )
    reasons = losses[losses["loss"] == "defects"].set_index("part_number")["cost_reason"].to_dict()
    assert reasons == {"P30": "no_material_cost", "P99": "no_material_cost, no_ideal_cycle"}


@pytest.mark.parametrize(
    ("convention", "losses"),
    [
        ({}, {"changeover", "reduced_speed"}),
        ({"changeover": "excluded"}, {"reduced_speed"}),
        ({"planned_stops": "availability_loss"}, {"changeover", "planned_stop", "reduced_speed"}),
        ({"unknown": "availability_loss"}, {"changeover", "unknown", "reduced_speed"}),
    ],
)
def test_the_convention_says_what_is_a_loss(convention: dict[str, str], losses: set[str]) -> None:
    plan = calendar((200, "planned"), (30, "planned_stop"), (250, "planned"))
    said = states((200, "running"), (30, "idle"), (30, "setup"), (20, "unknown"), (200, "running"))
    tree = tree_of(said, plan, events((10, 100)), plant=floor.plant(convention=convention))
    assert {loss for loss, _ in tree} == losses


def test_losses_of_another_age_do_not_balance() -> None:
    shifts, losses = derived(states((400, "running"), (80, "fault")), calendar((480, "planned")), events((5, 400)))
    assert imbalance(shifts, losses).empty
    (off,) = imbalance(shifts, losses[losses["loss"] != "unplanned_stop"]).to_dict("records")
    assert (off["machine_id"], off["off_us"]) == ("M1", 80 * 60e6)


def test_nothing_gives_nothing() -> None:
    shifts, losses = derived(states()[:0], calendar((480, "planned")), events())
    assert losses.empty
    assert imbalance(shifts, losses).empty
    assert loss_tree(losses).empty


def test_parts_nobody_knew_the_time_of_cost_money_and_no_minutes() -> None:
    """10 rejects while the state was unknown, 4 outside it: both have a name, only the four took planned time."""
    said = states((100, "running"), (60, "unknown"), (320, "running"))
    people = entries(
        entry(90, 150, kind="scrap", quantity=10, scrap_reason="burr"),
        entry(190, 250, kind="scrap", quantity=4, scrap_reason="scratch"),
    )
    made = events((130, 0, 10, 0, "P30"), (200, 0, 4, 0, "P30"))
    tree = tree_of(said, calendar((480, "planned")), made, people, worked=orders(("P30", 0, None)))
    assert tree["defects", "burr"] == (0, 10 * 2.75)
    assert tree["defects", "scratch"] == (2, 4 * 2.75)


# ---- start-up ----------------------------------------------------------------------------------------------------
def startup_at(minutes: list[int], said: pd.DataFrame, plan: pd.DataFrame, window_min: float | None = 30) -> set[int]:
    """At which of these minutes a reject is a start-up loss."""
    plant = floor.plant({"startup_window_min": window_min} if window_min else None)
    found = set()
    for minute in minutes:
        _, losses = derived(said, plan, events((minute, 0, 1)), plant=plant, window=(at(0), at(1440)))
        if "startup" in set(losses["loss"]):
            found.add(minute)
    return found


def test_rejects_soon_after_a_changeover_or_the_first_start_of_a_shift_are_start_up() -> None:
    # Shift 1 from 0 to 510, shift 2 from 510 to 1020: shift 1 starts at 10, is set up from 100 to 120, breaks down at
    # 200, runs on into shift 2 (no start), stops there and starts again: not its first start.
    plan = plan_rows(floor.plant(), floor.plant().machines[0], at(0), at(1440))
    said = states((10, "idle"), (90, "running"), (20, "setup"), (80, "running"), (20, "fault"), (400, "running"),
                  (20, "fault"), (800, "running"))  # fmt: skip
    asked = [10, 39, 40, 60, 119, 121, 149, 150, 225, 515, 645]
    assert startup_at(asked, said, plan) == {10, 39, 121, 149}
    assert startup_at(asked, said, plan, window_min=None) == set()


def test_a_second_changeover_inside_the_window_begins_it_anew() -> None:
    plan = plan_rows(floor.plant(), floor.plant().machines[0], at(0), at(1440))
    said = states((100, "running"), (20, "setup"), (10, "running"), (5, "setup"), (1305, "running"))
    assert startup_at([110, 125, 140, 164, 165], said, plan) == {125, 140, 164}


# ---- levels and order --------------------------------------------------------------------------------------------
STATES = st.sampled_from(["running", "running", "idle", "fault", "setup", "unknown", "starved"])
PLANS = st.sampled_from(["planned", "break", "planned_stop", "not_scheduled"])


@st.composite
def stories(draw: st.DrawFn) -> dict[str, Any]:
    """Anything that can happen in 16 hours over two shifts: states, plan, parts, orders, explanations, convention."""
    runs = draw(st.lists(st.tuples(st.floats(0.1, 90), STATES), min_size=1, max_size=15))
    plans = draw(st.lists(st.tuples(st.integers(1, 200), PLANS, st.sampled_from(["Shift 1", "Shift 2"])), max_size=6))
    parts = draw(
        st.lists(
            st.tuples(
                st.integers(0, 959), st.integers(0, 30), st.integers(0, 5), st.integers(0, 3),
                st.sampled_from([None, "P30", "P50"]), st.sampled_from([None, "estimated"]),
            ),
            max_size=20, unique_by=lambda part: part[0],
        )
    )  # fmt: skip
    worked = draw(
        st.lists(st.tuples(st.sampled_from(["P30", "P50"]), st.integers(0, 900), st.integers(901, 960)), max_size=3)
    )
    convention = draw(st.fixed_dictionaries({
        "planned_stops": st.sampled_from(["excluded", "availability_loss"]),
        "changeover": st.sampled_from(["excluded", "availability_loss"]),
        "unknown": st.sampled_from(["excluded", "availability_loss"]),
        "rework_is_good": st.booleans(),
        "break_running": st.sampled_from(["planned", "excluded"]),
    }))  # fmt: skip
    window = draw(st.sampled_from([None, 5, 60]))
    cycle = draw(st.sampled_from([None, 60000]))
    plan = [(length, kind, None if kind == "not_scheduled" else shift, floor.DAY) for length, kind, shift in plans]
    return {
        "said": states(*runs),
        "plan": calendar(*plan, (2000, "planned")),
        "made": events(*parts),
        "people": entries(
            entry(30, 90, kind="scrap", quantity=3, scrap_reason="burr"),
            entry(80, 700, kind="scrap", quantity=20, scrap_category="STARTUP"),
            entry(0, 200, reason_code="PM_A"),
            entry(300, 500, reason_code="MECH_A"),
        ),
        "plant": floor.plant({"startup_window_min": window, "ideal_cycle_time_ms": cycle}, convention=convention),
        "worked": orders(*worked),
        "window": (at(0), at(960)),
    }


@settings(max_examples=40, deadline=None)
@given(story=stories())
def test_planned_time_is_good_parts_and_losses_at_every_level(story: dict[str, Any]) -> None:
    shifts, losses = derived(**story)
    for by in (GROUP, GROUP[:3], GROUP[:2], ["machine_id"], ["machine_id", "part_number"], ["shift"]):
        assert imbalance(shifts, losses, by).empty, by
    # What the database would find: sums of the ledger's own buckets, of plain counts.
    stops = losses.loc[losses["loss"] == "unplanned_stop", "loss_us"].sum()
    assert stops == (shifts["failure_us"] + shifts["other_stop_us"]).sum()
    assert losses.loc[losses["loss"] == "micro_stop", "loss_us"].sum() == shifts["micro_stop_us"].sum()


@settings(max_examples=15, deadline=None)
@given(story=stories(), seed=st.integers(0, 2**16))
def test_any_order_of_rows_gives_the_same(story: dict[str, Any], seed: int) -> None:
    pd.testing.assert_frame_equal(derived(**story)[1], derived(**story, shuffled=seed)[1])


@settings(max_examples=15, deadline=None)
@given(story=stories())
def test_sums_over_any_level_are_the_same(story: dict[str, Any]) -> None:
    _, losses = derived(**story)
    whole = loss_tree(losses, ["loss", "reason_code"])
    columns = ["minutes", "minutes_without_rate", "occurrences", "cost", "material_cost"]
    for by in (["shift"], ["part_number"], ["machine_id", "shift"]):
        again = loss_tree(losses, [*by, "loss", "reason_code"]).groupby(["loss", "reason_code"])[columns]
        assert again.sum(min_count=1).reset_index()[columns].to_numpy(dtype=float) == pytest.approx(
            whole[columns].to_numpy(dtype=float), nan_ok=True, abs=1e-6
        )


@settings(max_examples=10, deadline=None)
@given(
    edges=st.lists(st.integers(1, 3 * 1440 - 1), unique=True, max_size=10),
    kinds=st.lists(STATES, min_size=11, max_size=11),
    parts=st.lists(st.tuples(st.integers(1, 3 * 1440 - 1), st.integers(0, 9), st.integers(0, 4)), max_size=12),
    week=st.sampled_from([dt.date(2026, 3, 7), dt.date(2026, 10, 31)]),
)
def test_a_week_in_which_clocks_change_balances(edges: list[int], kinds: list[str], parts: Any, week: dt.date) -> None:
    """The night shifts of 7 March (6 hours) and of 31 October (8 hours): every shift and day balances."""
    plant = floor.plant()
    start, end = production_day(plant, week)[0], production_day(plant, week + dt.timedelta(days=2))[1]
    shift = start - at(0)
    marks = [0, *sorted(edges), 3 * 1440 + 120]
    said = states(*((b - a, kind) for a, b, kind in zip(marks, marks[1:], kinds, strict=False)))
    made = events(*((minute, good, bad) for minute, good, bad in sorted({part[0]: part for part in parts}.values())))
    for frame, columns in ((said, ["starts_at", "ends_at", "state_started_at"]), (made, ["time"])):
        for column in columns:
            frame[column] = frame[column] + shift
    plan = plan_rows(plant, plant.machines[0], start, end)
    shifts, losses = derived(said, plan, made, plant=plant, window=(start, end))
    for by in (GROUP, GROUP[:2]):
        assert imbalance(shifts, losses, by).empty
    minutes = shifts[shifts["shift"] == "Shift 3"].groupby("production_date")[
        [c for c in shifts if c.endswith("_us") and not c.startswith(("planned_time", "run_", "ideal"))]
    ].sum().sum(axis=1) / 60e6  # fmt: skip
    assert minutes.get(week) == (360 if week.month == 3 else 480)
