"""The loss tree: planned time is good parts plus losses, and what they cost."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodlytics.kpi.losses import LossesDoNotBalanceError, loss_tree
from prodlytics.kpi.oee_hourly import derive_oee_hourly
from prodlytics.kpi.scrap_events import derive_scrap_events
from prodlytics.plant.model import Plant
from prodlytics_tests.kpi import floor
from prodlytics_tests.kpi.floor import at, calendar, costs, entries, entry, events, states

COSTS = costs(("P30", "2026-01-01", 2.0))


def frames(
    said: pd.DataFrame, plan: pd.DataFrame, made: pd.DataFrame, people: pd.DataFrame, plant: Plant
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    machine = plant.machines[0]
    ledger = floor.ledger_of(plant, said, plan, at(0), at(480), people)
    hours = derive_oee_hourly(plant, machine, ledger, made, at(0), at(480), floor.NOW)
    return ledger, hours, derive_scrap_events(plant, machine, made, people, COSTS, plan, at(0), at(480), floor.NOW)


def tree_of(
    said: pd.DataFrame,
    plan: pd.DataFrame,
    made: pd.DataFrame,
    people: pd.DataFrame | None = None,
    plant: Plant | None = None,
) -> dict[tuple[str, str | None], tuple[float, float]]:
    plant = plant or floor.plant()
    tree = loss_tree(*frames(said, plan, made, entries() if people is None else people, plant), plant)
    assert set(tree["machine_id"]) <= {"M1"}
    return {
        (row["loss"], row["reason_code"]): (round(row["minutes"], 9), round(row["cost"], 6))
        for _, row in tree.iterrows()
    }


def test_a_shift_by_hand() -> None:
    # 480 planned at 60/h: 30 fault (20 of them with a reason), 20 no material, 15 set-up, 1 micro-stop, 414 running;
    # 700 good, 10 rejects for burrs, 4 start-up pieces, 6 nobody explained, at 30 s: 720 x 0.5 = 360 min.
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
    piece = 2.0 + 0.25 + 0.5
    # Set-up and the minute after it are one stop: 36 minutes from 230 on.
    assert tree_of(said, calendar((480, "planned")), made, people) == {
        ("unplanned_stop", None): (10 + 1, 11),
        ("unplanned_stop", "MECH_A"): (20, 20),
        ("unplanned_stop", "MATL_A"): (20, 20),
        ("changeover", None): (15, 15),
        ("reduced_speed", None): (414 - 360, 54),
        ("defects", "burr"): (5, 10 * piece),
        ("defects", None): (3, 6 * piece),
        ("startup", "STARTUP"): (2, 4 * piece),
    }


def test_micro_stops_have_their_own_loss() -> None:
    said = states((100, "running"), (1, "idle"), (379, "running"))
    tree = tree_of(said, calendar((480, "planned")), events((90, 479)))
    assert tree == {("micro_stop", None): (1, 1), ("reduced_speed", None): (0, 0)}


def test_faster_than_the_ideal_cycle_is_negative_not_hidden() -> None:
    tree = tree_of(states((480, "running")), calendar((480, "planned")), events((90, 500)))
    assert tree == {("reduced_speed", None): (-20, -20)}


def test_reworked_parts_are_defects_by_default() -> None:
    tree = tree_of(states((480, "running")), calendar((480, "planned")), events((90, 470), (91, 0, 0, 10)))
    assert tree == {("reduced_speed", None): (0, 0), ("defects", None): (10, 10)}


def test_running_time_that_cannot_be_judged_is_named_so() -> None:
    plant = floor.plant({"ideal_cycle_time_ms": None})
    tree = tree_of(states((480, "running")), calendar((480, "planned")), events((90, 500)), plant=plant)
    assert tree == {("no_ideal_cycle", None): (60, 60), ("reduced_speed", None): (420, 420)}


def test_without_a_rate_there_is_no_cost() -> None:
    plant = floor.plant({"machine_rate_per_h": None})
    tree = tree_of(states((480, "fault")), calendar((480, "planned")), events(), plant=plant)
    assert tree[("unplanned_stop", None)][0] == 480
    assert pd.isna(tree[("unplanned_stop", None)][1])


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


def test_ledger_and_hours_of_different_days_are_refused() -> None:
    plant = floor.plant()
    ledger, hours, scrap = frames(
        states((400, "running"), (80, "fault")), calendar((480, "planned")), events(), entries(), plant
    )
    with pytest.raises(LossesDoNotBalanceError, match=r"M1: planned time differs .* by -?3600.000 s"):
        loss_tree(ledger[ledger["time_bucket"] != at(420)], hours, scrap, plant)


def test_nothing_gives_nothing() -> None:
    plant = floor.plant()
    nothing = frames(states()[:0], calendar((480, "planned")), events(), entries(), plant)
    assert loss_tree(*nothing, plant).empty


def test_each_production_date_balances_when_it_turns_inside_an_hour() -> None:
    plant = floor.plant()
    yesterday = floor.DAY - dt.timedelta(days=1)
    plan = calendar((15, "planned", "Shift 3", yesterday), (465, "planned"))
    said = states((10, "running"), (30, "fault"), (440, "running"))
    made = events((12, 0, 3), (20, 5), (50, 0, 2))
    parts = frames(said, plan, made, entries(), plant)
    for date, stopped in ((yesterday, 5), (floor.DAY, 25)):
        tree = loss_tree(*(frame[frame["production_date"] == date] for frame in parts), plant)
        assert tree.loc[tree["loss"] == "unplanned_stop", "minutes"].tolist() == [stopped]
        assert tree.loc[tree["loss"] == "defects", "minutes"].tolist() == [3 if date == yesterday else 2]


STATES = st.sampled_from(["running", "running", "idle", "fault", "setup", "unknown", "starved"])
PLANS = st.sampled_from(["planned", "break", "planned_stop", "not_scheduled"])


@settings(max_examples=100, deadline=None)
@given(
    runs=st.lists(st.tuples(st.floats(0.1, 60), STATES), min_size=1, max_size=15),
    plans=st.lists(st.tuples(st.integers(1, 90), PLANS), max_size=5),
    parts=st.lists(
        st.tuples(
            st.integers(0, 479), st.integers(0, 30), st.integers(0, 5), st.integers(0, 3),
            st.sampled_from([None, "P30", "P50"]), st.sampled_from([None, "estimated"]),
        ),
        max_size=20, unique_by=lambda part: part[0],
    ),
    convention=st.fixed_dictionaries({
        "planned_stops": st.sampled_from(["excluded", "availability_loss"]),
        "changeover": st.sampled_from(["excluded", "availability_loss"]),
        "unknown": st.sampled_from(["excluded", "availability_loss"]),
        "rework_is_good": st.booleans(),
    }),
)  # fmt: skip
def test_planned_time_is_good_parts_and_losses(runs: Any, plans: Any, parts: Any, convention: Any) -> None:
    plant = floor.plant(convention=convention)
    said = entries(entry(30, 90, kind="scrap", quantity=3, scrap_reason="burr"), entry(0, 200, reason_code="PM_A"))
    plan = calendar(*plans, (1000, "planned"))
    ledger, hours, scrap = frames(states(*runs), plan, events(*parts), said, plant)
    tree = loss_tree(ledger, hours, scrap, plant)
    planned, good = hours["planned_time_us"].sum(), hours["ideal_good_time_us"].sum()
    assert good + tree["minutes"].sum() * 60e6 == pytest.approx(planned, abs=1000)
