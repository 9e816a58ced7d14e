"""Hours: which time and which parts are in them, and what has no value."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from fractions import Fraction
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodlytics.datasets.models import validate
from prodlytics.kpi.machine_time import derive_machine_time
from prodlytics.kpi.oee import roll_up
from prodlytics.kpi.oee_hourly import derive_oee_hourly
from prodlytics.plant.calendar import plan_rows, production_day
from prodlytics_tests.kpi import floor
from prodlytics_tests.kpi.floor import at, calendar, entries, entry, events, hours_of, states

MINUTE = 60_000_000
LOSSES = ("running_us", "failure_us", "changeover_us", "other_stop_us", "micro_stop_us")
PLANNED = calendar((480, "planned"))


def one_hour(*rows: tuple[Any, ...], made: tuple[tuple[Any, ...], ...] = (), **machine: Any) -> pd.Series[Any]:
    hours = hours_of(floor.plant(machine), states(*rows), PLANNED, events(*made), at(0), at(60))
    assert len(hours) == 1
    assert not validate("oee_hourly", hours).problems
    return hours.iloc[0]


def test_an_hour_by_hand() -> None:
    # 60 planned: 40 run, 1 micro-stop, 10 set-up, 9 fault. 30 good, 5 reject at 1 min.
    row = one_hour(
        (20, "running"), (1, "idle"), (20, "running"), (9, "fault"), (1, "running"), (9, "setup"),
        made=((10, 20), (30, 10), (35, 0, 5)),
    )  # fmt: skip
    assert row["planned_time_us"] == 60 * MINUTE
    assert row["run_time_us"] == 42 * MINUTE
    assert (row["failure_us"], row["changeover_us"], row["micro_stop_us"]) == (9 * MINUTE, 9 * MINUTE, MINUTE)
    assert row["availability"] == pytest.approx(42 / 60)
    assert row["performance"] == pytest.approx(35 / 42)
    assert row["quality"] == pytest.approx(30 / 35)
    assert row["oee"] == pytest.approx(30 / 60)
    assert row["null_reason"] is None


def test_a_machine_that_was_down_all_hour_has_its_row_and_no_oee_to_show() -> None:
    row = one_hour((60, "fault"))
    assert (row["availability"], row["oee"]) == (0, 0)
    assert pd.isna(row["performance"])
    assert pd.isna(row["quality"])
    assert row["null_reason"] == "no_parts"


def test_an_hour_without_plan_has_a_row_without_values() -> None:
    plan = calendar((60, "not_scheduled"))
    row = hours_of(floor.plant(), states((60, "off")), plan, events(), at(0), at(60)).iloc[0]
    assert row["null_reason"] == "no_planned_time"
    assert row[["availability", "performance", "quality", "oee"]].isna().all()


def test_an_hour_of_nothing_but_unknown_has_no_data() -> None:
    row = one_hour((60, "unknown"))
    assert row["null_reason"] == "no_data"
    assert row["unknown_us"] == 60 * MINUTE
    assert row[["availability", "performance", "quality", "oee"]].isna().all()


def test_unknown_in_a_break_is_a_break() -> None:
    row = hours_of(floor.plant(), states((60, "unknown")), calendar((60, "break")), events(), at(0), at(60)).iloc[0]
    assert row["null_reason"] == "no_planned_time"


def test_producing_in_a_break_or_outside_the_plan_adds_planned_time() -> None:
    plan = calendar((20, "planned"), (20, "break"), (20, "not_scheduled"))
    made = events((10, 20), (30, 20), (50, 20))
    row = hours_of(floor.plant(), states((60, "running")), plan, made, at(0), at(60)).iloc[0]
    assert row["planned_time_us"] == 60 * MINUTE
    assert row["performance"] == pytest.approx(1.0)


class TestParts:
    def test_made_at_the_edge_of_an_hour_belong_to_the_hour_that_begins(self) -> None:
        made = events((0, 1), (59.99, 2), (60, 4), (119.99, 8), (120, 16))
        hours = hours_of(floor.plant(), states((120, "running")), PLANNED, made, at(0), at(120))
        assert hours["good_count"].tolist() == [3, 12]

    def test_made_while_nobody_knew_the_state_are_gap_counts(self) -> None:
        row = one_hour((20, "running"), (20, "unknown"), (20, "running"), made=((10, 5), (30, 7), (31, 0, 2), (50, 3)))
        assert (row["good_count"], row["gap_good_count"]) == (8, 7)
        assert (row["reject_count"], row["gap_reject_count"]) == (0, 2)
        assert row["performance"] == pytest.approx(8 / 40)

    def test_the_last_sample_before_a_silence_is_not_in_it(self) -> None:
        row = one_hour((20, "running"), (40, "unknown"), made=((20, 5), (60 - 1e-6, 1)))
        assert (row["good_count"], row["gap_good_count"]) == (5, 1)

    def test_the_last_parts_before_a_silence_that_begins_on_the_hour_are_not_in_it(self) -> None:
        # As people book: until 11:00, and nobody says what was afterwards.
        said = states((60, "running"), (60, "unknown"))
        hours = hours_of(floor.plant(), said, PLANNED, events((60, 5), (61, 1)), at(0), at(120))
        assert hours["good_count"].tolist() == [0, 5]
        assert hours["gap_good_count"].tolist() == [0, 1]

    def test_estimated_counts_are_gap_counts(self) -> None:
        row = one_hour(
            (60, "running"), made=((10, 5), (30, 100, 0, 0, None, "estimated"), (40, 3, 0, 0, None, "reset"))
        )
        assert (row["good_count"], row["gap_good_count"]) == (8, 100)

    def test_rework_in_a_gap_counts_with_the_rejects(self) -> None:
        row = one_hour((60, "unknown"), made=((10, 0, 0, 4),))
        assert (row["rework_count"], row["gap_reject_count"]) == (0, 4)

    def test_made_in_a_break_while_nobody_knew_are_gap_counts_too(self) -> None:
        # They must not go into performance: there is no time to put them in.
        plan = calendar((30, "planned"), (30, "break"))
        said = states((30, "running"), (30, "unknown"))
        row = hours_of(floor.plant(), said, plan, events((10, 5), (40, 7)), at(0), at(60)).iloc[0]
        assert (row["good_count"], row["gap_good_count"]) == (5, 7)

    def test_outside_the_ledger_are_of_no_hour(self) -> None:
        made = events((30, 1), (90, 50))
        hours = hours_of(floor.plant(), states((60, "running")), PLANNED, made, at(0), at(120))
        assert hours["good_count"].tolist() == [1]

    def test_alarms_are_no_parts(self) -> None:
        made = events((30, 1), (40, 0))
        made.loc[1, "event_type"] = "alarm"
        hours = hours_of(floor.plant(), states((60, "running")), PLANNED, made, at(0), at(60))
        assert hours["ideal_time_us"].tolist() == [MINUTE]


def test_an_hour_in_which_the_production_date_changes_is_two_rows() -> None:
    yesterday = floor.DAY - dt.timedelta(days=1)
    plan = calendar((15, "planned", "Shift 3", yesterday), (105, "planned"))
    made = events((10, 1), (15, 2), (59, 4), (60, 8))
    hours = hours_of(floor.plant(), states((120, "running")), plan, made, at(0), at(120))
    assert hours["production_date"].tolist() == [yesterday, floor.DAY, floor.DAY]
    assert hours["planned_time_us"].tolist() == [15 * MINUTE, 45 * MINUTE, 60 * MINUTE]
    assert hours["good_count"].tolist() == [1, 6, 8]


class TestIdealCycle:
    def test_of_the_part_else_of_the_machine(self) -> None:
        row = one_hour((60, "running"), made=((10, 10, 0, 0, "P30"), (20, 6, 0, 0, "P50"), (30, 5, 0, 0, "other")))
        assert row["ideal_time_us"] == (10 * 30 + 6 * 50 + 5 * 60) * 1_000_000

    def test_of_the_day(self) -> None:
        history = [{"value": 60000}, {"since": "2026-03-03", "value": 30000}]
        plan = calendar((60, "planned"), (60, "planned", "Shift 1", floor.DAY + dt.timedelta(days=1)))
        made = events((30, 10), (90, 10))
        plant = floor.plant({"ideal_cycle_time_ms": history})
        hours = hours_of(plant, states((120, "running")), plan, made, at(0), at(120))
        assert hours["ideal_time_us"].tolist() == [10 * MINUTE, 5 * MINUTE]

    def test_that_nobody_knows_leaves_what_can_be_said(self) -> None:
        row = one_hour((45, "running"), (15, "fault"), made=((10, 9), (20, 0, 1)), ideal_cycle_time_ms=None)
        assert row["null_reason"] == "no_ideal_cycle"
        assert row["availability"] == 0.75
        assert row["quality"] == 0.9
        assert row[["performance", "oee"]].isna().all()

    def test_that_nobody_knows_does_not_matter_without_parts(self) -> None:
        row = one_hour((45, "running"), (15, "fault"), ideal_cycle_time_ms=None)
        assert (row["performance"], row["oee"], row["null_reason"]) == (0, 0, "no_parts")


class TestFingerprint:
    said = states((20, "running"), (10, "fault"), (90, "running"))
    made = events((10, 5), (70, 5))

    def prints(self, **changes: Any) -> list[str]:
        values: dict[str, Any] = {
            "plant": floor.plant(), "said": self.said, "plan": PLANNED, "made": self.made, "reasons": None
        } | changes  # fmt: skip
        hours = hours_of(
            values["plant"], values["said"], values["plan"], values["made"], at(0), at(120), values["reasons"]
        )
        return hours["fingerprint"].tolist()

    def test_is_the_same_for_the_same_input(self) -> None:
        assert self.prints() == self.prints()
        assert len(set(self.prints())) == 2

    @pytest.mark.parametrize(
        "change",
        [
            {"made": events((10, 6), (70, 5))},
            {"made": events((10, 5, 0, 0, "P30"), (70, 5))},
            {"made": events((10, 5, 0, 0, None, "reset"), (70, 5))},
            {"made": events((9, 5), (70, 5))},
            {"said": states((20, "running"), (10, "idle"), (90, "running"))},
            {"said": states((20, "running"), (9, "fault"), (91, "running"))},
            {"reasons": entries(entry(20, 30, reason_code="MATL_A"))},
            {"plan": calendar((60, "planned", "Other", floor.DAY), (420, "planned"))},
        ],
    )
    def test_changes_with_the_hour_that_changed_and_with_no_other(self, change: dict[str, Any]) -> None:
        before, after = self.prints(), self.prints(**change)
        assert before[0] != after[0]
        assert before[1] == after[1]

    @pytest.mark.parametrize(
        "plant", [floor.plant({"ideal_cycle_time_ms": 61000}), floor.plant(convention={"unknown": "availability_loss"})]
    )
    def test_changes_with_ideal_cycle_and_convention(self, plant: Any) -> None:
        assert not set(self.prints()) & set(self.prints(plant=plant))

    def test_an_hour_alone_has_the_same_as_in_a_day(self) -> None:
        plant = floor.plant()
        ledger = floor.ledger_of(plant, self.said, PLANNED, at(0), at(120))
        second = derive_oee_hourly(
            plant, plant.machines[0], ledger[ledger["starts_at"] >= at(60)], self.made, at(60), at(120), floor.NOW
        )
        assert second["fingerprint"].tolist() == self.prints()[1:]


@pytest.mark.parametrize(("date", "hours"), [("2026-03-07", 23), ("2026-10-31", 25)])
def test_a_day_on_which_the_clocks_change_has_all_its_hours(date: str, hours: int) -> None:
    plant = floor.plant()
    machine = plant.machines[0]
    start, end = production_day(plant, dt.date.fromisoformat(date))
    plan = plan_rows(plant, machine, start, end)
    said = floor.state_spans([(start, end, "running", None)])
    ledger = derive_machine_time(plant, machine, plan, said, floor.stops_of(plant, said, plan), start, end)
    rows = derive_oee_hourly(plant, machine, ledger, events(), start, end, floor.NOW)
    assert len(rows) == hours
    assert rows["planned_time_us"].tolist() == [60 * MINUTE] * hours


def test_no_ledger_no_rows() -> None:
    hours = hours_of(floor.plant(), states()[:0], PLANNED, events((10, 1)), at(0), at(60))
    assert hours.empty
    assert not validate("oee_hourly", hours).problems


# ---- against exact fractions -----------------------------------------------------------------------------------------
RUNS = st.lists(
    st.tuples(
        st.floats(0.01, 40).map(lambda minutes: round(minutes, 4)),
        st.sampled_from(["running", "running", "idle", "fault", "setup", "unknown"]),
    ),
    min_size=1,
    max_size=12,
)
PLANS = st.lists(
    st.tuples(st.integers(1, 90), st.sampled_from(["planned", "planned", "break", "not_scheduled"])), max_size=5
)
PARTS = st.lists(
    st.tuples(
        st.floats(0, 240).map(lambda minutes: round(minutes, 3)),
        st.integers(0, 30),
        st.integers(0, 5),
        st.integers(0, 3),
        st.sampled_from([None, "P30", "P50"]),
        st.sampled_from([None, None, "estimated"]),
    ),
    max_size=20,
    unique_by=lambda part: part[0],
)
IDEAL = {None: 60, "P30": 30, "P50": 50}


@settings(max_examples=150, deadline=None)
@given(runs=RUNS, plans=PLANS, parts=PARTS)
def test_every_hour_adds_up_and_multiplies(runs: list[Any], plans: list[Any], parts: list[Any]) -> None:
    plan = calendar(*plans, (1000, "planned"))
    said = states(*runs)
    made = events(*parts)
    hours = hours_of(floor.plant(), said, plan, made, at(0), at(480))
    known_us = (said["ends_at"].iloc[-1] - at(0)) // dt.timedelta(microseconds=1)
    buckets = hours[[*LOSSES, "planned_stop_us", "break_us", "not_scheduled_us", "unknown_us"]].sum(axis=1)
    assert buckets.tolist() == [min(3_600_000_000, known_us - n * 3_600_000_000) for n in range(len(hours))]
    assert hours["planned_time_us"].tolist() == hours[list(LOSSES)].sum(axis=1).tolist()
    assert hours["run_time_us"].tolist() == (hours["running_us"] + hours["micro_stop_us"]).tolist()

    expected = _count(made, said, len(hours))
    for n, row in hours.iterrows():
        total, good, ideal, ideal_good, in_gap = expected[int(str(n))]
        assert row["good_count"] == good
        assert row["good_count"] + row["reject_count"] + row["rework_count"] == total
        assert row["gap_good_count"] + row["gap_reject_count"] == in_gap
        assert (row["ideal_time_us"], row["ideal_good_time_us"]) == (ideal * 1_000_000, ideal_good * 1_000_000)
        _assert_ratios(row, ideal, ideal_good)
    whole = roll_up(hours, []).iloc[0]
    _assert_ratios(whole, sum(row[2] for row in expected.values()), sum(row[3] for row in expected.values()))


def _count(made: pd.DataFrame, said: pd.DataFrame, hours: int) -> dict[int, tuple[int, int, int, int, int]]:
    """Per hour: parts and good ones outside gaps, their ideal seconds, parts in gaps; by looking at each in turn."""
    found: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
    for part in made.to_dict("records"):
        hour = int((part["time"] - at(0)).total_seconds() // 3600)
        if hour >= hours:
            continue
        sums = found[hour]
        counts = [int(part[name]) for name in ("good_count", "reject_count", "rework_count")]
        # The state in the moment before; at the edge of the day that is the day before's, which says nothing here.
        just_before = part["time"] - pd.Timedelta(microseconds=1)
        state = [
            row["state"] for row in said.to_dict("records") if row["starts_at"] <= just_before < row["ends_at"]
        ] or [None]
        if part["flag"] == "estimated" or state[0] == "unknown":
            sums[4] += sum(counts)
        else:
            cycle = IDEAL[part["part_number"]]
            for index, value in enumerate((sum(counts), counts[0], cycle * sum(counts), cycle * counts[0])):
                sums[index] += value
    return defaultdict(lambda: (0, 0, 0, 0, 0), {hour: tuple(sums) for hour, sums in found.items()})


def _assert_ratios(row: pd.Series[Any], ideal_s: int, ideal_good_s: int) -> None:
    planned, run = int(row["planned_time_us"]), int(row["run_time_us"])
    if planned == 0:
        assert row[["availability", "performance", "quality", "oee"]].isna().all()
        assert row["null_reason"] == ("no_data" if row["unknown_us"] else "no_planned_time")
        return
    assert row["availability"] == pytest.approx(float(Fraction(run, planned)), rel=1e-12)
    assert row["oee"] == pytest.approx(float(Fraction(ideal_good_s * 1_000_000, planned)), rel=1e-12)
    if run and ideal_s:
        product = row["availability"] * row["performance"] * row["quality"]
        assert product == pytest.approx(row["oee"], rel=1e-9, abs=1e-15)
        assert row["null_reason"] is None
    else:
        assert row["null_reason"] in ("no_parts", "no_run_time")
