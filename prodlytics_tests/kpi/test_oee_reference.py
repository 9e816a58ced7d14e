"""Worked cases that others published, and the rules for what has no value, through the whole chain.

Inputs and outputs are of the sources named with each case; none of the expected numbers was computed by our code.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from prodlytics.kpi.oee import iso_22400, ratios, roll_up
from prodlytics_tests.kpi import floor

MINUTE = 60_000_000
FULL = 24 * 60
NAN = float("nan")


def day_of(
    states: pd.DataFrame,
    plan: pd.DataFrame,
    made: pd.DataFrame,
    convention: dict[str, Any] | None = None,
    **machine: Any,
) -> pd.Series[Any]:
    """A production day through stops, ledger and hours, rolled up to one row."""
    plant = floor.plant(machine, convention=convention or {})
    hours = floor.hours_of(plant, states, plan, made, floor.at(0), floor.at(FULL))
    row = roll_up(hours, ["machine_id"], plant.convention).iloc[0]
    assert_identity(row)
    return row


def assert_identity(row: pd.Series[Any]) -> None:
    """A x P x Q is good parts at their ideal cycle over planned time, and planned time its parts."""
    product = row["availability"] * row["performance"] * row["quality"]
    assert product == pytest.approx(row["ideal_good_time_us"] / row["planned_time_us"], rel=1e-12)
    assert product == pytest.approx(row["oee"], rel=1e-12)


def element_row(**values: float) -> dict[str, float]:
    """Elements in minutes and counts."""
    row: dict[str, float] = dict.fromkeys(
        ("good_count", "reject_count", "rework_count", "failure_us", "changeover_us", "other_stop_us", "unknown_us"), 0
    )
    return row | {name: value * MINUTE if name.endswith("_us") else value for name, value in values.items()}


def test_e1_vorne_calculating_oee() -> None:
    # 8 h, two breaks of 15 min and one of 30, 47 min down, ideal cycle 1 s, 19,271 parts of which 423 rejected.
    plan = floor.calendar(
        (100, "planned"), (15, "break"), (100, "planned"), (30, "break"), (120, "planned"), (15, "break"),
        (100, "planned"), (FULL - 480, "not_scheduled"),
    )  # fmt: skip
    states = floor.states(
        (100, "running"), (15, "idle"), (53, "running"), (47, "fault"), (30, "idle"), (120, "running"), (15, "idle"),
        (100, "running"), (FULL - 480, "off"),
    )  # fmt: skip
    row = day_of(states, plan, floor.events((90, 18848), (90, 0, 423)), ideal_cycle_time_ms=1000)
    assert row["planned_time_us"] == 420 * MINUTE
    assert row["run_time_us"] == 373 * MINUTE
    assert round(row["availability"], 6) == 0.888095
    assert round(row["performance"], 6) == 0.861081
    assert round(row["quality"], 6) == 0.978050
    assert round(row["oee"], 6) == 0.747937


def test_e3_influxdata_apq() -> None:
    # States on the hour from midnight: run, run, stop, run; planned 8 h; 240 parts, 4 bad; ideal cycle 30 s.
    plan = floor.calendar((480, "planned"), (FULL - 480, "not_scheduled"))
    states = floor.states((120, "running"), (60, "idle"), (60, "running"), (FULL - 240, "off"))
    made = floor.events((59, 100), (60, 0, 1), (118, 99), (119, 0, 1), (235, 37), (238, 0, 2))
    row = day_of(states, plan, made, ideal_cycle_time_ms=30000)
    assert row["run_time_us"] == 10_800_000_000
    assert row["availability"] == pytest.approx(0.375, abs=5e-8)
    assert round(row["performance"], 7) == 0.6666667
    assert round(row["quality"], 7) == 0.9833333
    assert round(row["oee"], 7) == 0.2458333


def test_e5_cnc_optimization() -> None:
    # 480 min, 60 of breaks, 42 down, 300 parts, 6 scrapped, ideal cycle 1 min.
    plan = floor.calendar((210, "planned"), (60, "break"), (210, "planned"), (FULL - 480, "not_scheduled"))
    states = floor.states((168, "running"), (42, "fault"), (60, "idle"), (210, "running"), (FULL - 480, "off"))
    row = day_of(states, plan, floor.events((100, 294), (110, 0, 6)))
    assert row["availability"] == pytest.approx(0.90)
    assert round(row["performance"], 6) == 0.793651
    assert row["quality"] == pytest.approx(0.98)
    assert row["oee"] == pytest.approx(0.70)


def test_e12_iso_22400() -> None:
    # Planned operation 480, planned downtime 30, production 360, set-up 40, delay 50; 440 parts of 0.75 min: 418 good,
    # 14 scrapped, 8 for rework.
    plan = floor.calendar((200, "planned"), (30, "planned_stop"), (250, "planned"), (FULL - 480, "not_scheduled"))
    states = floor.states(
        (160, "running"), (40, "setup"), (30, "idle"), (200, "running"), (50, "fault"), (FULL - 480, "off")
    )
    made = floor.events((100, 418), (110, 0, 14), (120, 0, 0, 8))
    row = day_of(states, plan, made, ideal_cycle_time_ms=45000)
    assert row["planned_stop_us"] == 30 * MINUTE
    assert row["planned_time_us"] == 450 * MINUTE
    assert row["availability"] == pytest.approx(0.80)
    assert round(row["performance"], 6) == 0.916667
    assert row["quality"] == pytest.approx(0.95)
    assert round(row["oee"], 6) == 0.696667
    more = iso_22400(row.to_frame().T).iloc[0]
    assert round(more["nee_index"], 6) == 0.774074
    assert round(more["technical_efficiency"], 6) == 0.878049
    assert more["setup_ratio"] == pytest.approx(0.10)
    assert more["utilization_efficiency"] == pytest.approx(0.80)
    assert more["allocation_efficiency"] == 1.0
    assert round(more["scrap_ratio"], 6) == 0.031818
    assert round(more["rework_ratio"], 6) == 0.018182
    assert more["first_pass_yield"] == pytest.approx(0.95)
    assert more["throughput_per_h"] == pytest.approx(440 / 7.5)


def test_e13_two_products() -> None:
    # 100 parts of 30 s and 60 parts of 50 s in 120 minutes; the mean ideal cycle would give 0.888889.
    plan = floor.calendar((120, "planned"), (FULL - 120, "not_scheduled"))
    states = floor.states((120, "running"), (FULL - 120, "off"))
    made = floor.events((10, 100, 0, 0, "P30"), (20, 60, 0, 0, "P50"))
    assert round(day_of(states, plan, made)["performance"], 6) == 0.833333


def test_e14_two_hours_of_one_machine() -> None:
    # Hour 1: 60 planned, 60 run, 60 good at 1 min. Hour 2: 60 planned, 6 run, 3 good.
    plant = floor.plant()
    plan = floor.calendar((120, "planned"))
    states = floor.states((66, "running"), (54, "fault"))
    made = floor.events((30, 60), (65, 3))
    hours = floor.hours_of(plant, states, plan, made, floor.at(0), floor.at(120))
    assert hours["performance"].tolist() == pytest.approx([1.0, 0.5])
    assert hours["performance"].mean() == pytest.approx(0.75)
    row = roll_up(hours, ["production_date"]).iloc[0]
    assert row["availability"] == pytest.approx(0.55)
    assert round(row["performance"], 6) == 0.954545
    assert row["oee"] == pytest.approx(0.525)
    assert_identity(row)


def test_e15_unequal_planned_time() -> None:
    # OEE 0.90 over 60 min and 0.30 over 15 min: 0.78, not 0.60.
    plant = floor.plant()
    plan = floor.calendar((60, "planned"), (45, "not_scheduled"), (15, "planned"))
    plan_and_run = floor.states((60, "running"), (45, "off"), (15, "running"))
    made = floor.events((59, 54), (110, 4.5))
    hours = floor.hours_of(plant, plan_and_run, plan, made, floor.at(0), floor.at(120))
    assert hours["oee"].tolist() == pytest.approx([0.90, 0.30])
    assert roll_up(hours, []).iloc[0]["oee"] == pytest.approx(0.78)


def test_roll_up_of_machines_weighs_by_planned_time() -> None:
    rows = pd.DataFrame(
        [
            element_row(planned_time_us=60, run_time_us=60, ideal_time_us=54, ideal_good_time_us=54, good_count=54),
            element_row(planned_time_us=15, run_time_us=15, ideal_time_us=4.5, ideal_good_time_us=4.5, good_count=9),
        ]
    ).assign(line="L1", machine_id=["M1", "M2"])
    assert roll_up(rows, ["line"])["oee"].tolist() == pytest.approx([0.78])
    assert roll_up(rows, ["machine_id"])["oee"].tolist() == pytest.approx([0.90, 0.30])


# ---- what has no value, and why ----
@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        pytest.param({}, (None, None, None, None, "no_planned_time"), id="not planned"),
        pytest.param({"unknown_us": 60}, (None, None, None, None, "no_data"), id="nothing known"),
        pytest.param({"planned_time_us": 60, "failure_us": 60}, (0, None, None, 0, "no_parts"), id="down all the time"),
        pytest.param({"planned_time_us": 60, "run_time_us": 30}, (0.5, 0, None, 0, "no_parts"), id="ran, made nothing"),
        pytest.param(
            {"planned_time_us": 60, "run_time_us": 60, "ideal_time_us": 30, "reject_count": 30},
            (1, 0.5, 0, 0, None),
            id="only rejects",
        ),
        pytest.param(
            {"planned_time_us": 60, "run_time_us": 60, "ideal_time_us": NAN, "ideal_good_time_us": NAN, "good_count": 9,
             "reject_count": 1},
            (1, None, 0.9, None, "no_ideal_cycle"),
            id="no ideal cycle",
        ),
        pytest.param(
            {"planned_time_us": 60, "ideal_time_us": 6, "ideal_good_time_us": 6, "good_count": 6},
            (0, None, 1, 0.1, "no_run_time"),
            id="parts without time",
        ),
        pytest.param(
            {"planned_time_us": 60, "run_time_us": 60, "ideal_time_us": 90, "ideal_good_time_us": 90, "good_count": 90},
            (1, 1.5, 1, 1.5, None),
            id="faster than possible is shown, not capped",
        ),
    ],
)  # fmt: skip
def test_missing_ratios_say_why(elements: dict[str, float], expected: tuple[Any, ...]) -> None:
    nothing: dict[str, float] = dict.fromkeys(
        ("planned_time_us", "run_time_us", "ideal_time_us", "ideal_good_time_us"), 0
    )
    row = ratios(pd.DataFrame([element_row(**(nothing | elements))])).iloc[0]
    got = tuple(
        None if pd.isna(row[name]) else row[name]
        for name in ("availability", "performance", "quality", "oee", "null_reason")
    )
    assert got == expected


def test_one_unknown_ideal_cycle_makes_the_sum_unknown() -> None:
    known = element_row(planned_time_us=60, run_time_us=60, ideal_time_us=30, ideal_good_time_us=30, good_count=30)
    unknown = known | {"ideal_time_us": NAN, "ideal_good_time_us": NAN}
    row = roll_up(pd.DataFrame([known, unknown]), []).iloc[0]
    assert row["null_reason"] == "no_ideal_cycle"
    assert pd.isna(row["oee"])
    assert row["availability"] == 1


def test_hours_without_plan_do_not_weigh() -> None:
    worked = element_row(planned_time_us=60, run_time_us=30, ideal_time_us=30, ideal_good_time_us=30, good_count=30)
    closed = element_row(planned_time_us=0, run_time_us=0, ideal_time_us=0, ideal_good_time_us=0)
    assert roll_up(pd.DataFrame([worked, closed]), []).iloc[0]["oee"] == 0.5


def test_rolling_up_nothing_gives_no_groups() -> None:
    nothing = pd.DataFrame([element_row(planned_time_us=0, run_time_us=0, ideal_time_us=0, ideal_good_time_us=0)])[:0]
    assert roll_up(nothing.assign(line="L1"), ["line"]).empty


# ---- conventions -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("convention", "planned_min"),
    [
        ({}, 60 + 20 + 10),
        ({"planned_stops": "availability_loss"}, 60 + 20 + 10 + 15),
        ({"unknown": "availability_loss"}, 60 + 20 + 10 + 5),
        ({"changeover": "excluded"}, 60 + 20),
    ],
)
def test_conventions_decide_what_was_planned(convention: dict[str, Any], planned_min: float) -> None:
    plan = floor.calendar((60, "planned"), (15, "planned_stop"), (35, "planned"), (FULL - 110, "not_scheduled"))
    states = floor.states(
        (60, "running"), (15, "idle"), (20, "fault"), (10, "setup"), (5, "unknown"), (FULL - 110, "off")
    )
    row = day_of(states, plan, floor.events((30, 30)), convention)
    assert row["planned_time_us"] == planned_min * MINUTE


def test_rework_counts_as_good_only_by_convention() -> None:
    plan, states = floor.calendar((FULL, "planned")), floor.states((FULL, "running"))
    made = floor.events((10, 90), (11, 0, 0, 10))
    assert day_of(states, plan, made)["quality"] == pytest.approx(0.9)
    assert day_of(states, plan, made, {"rework_is_good": True})["quality"] == pytest.approx(1.0)
