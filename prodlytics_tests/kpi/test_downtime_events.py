"""Stops: where they begin and end, what they are called, whose reason wins, which loss they are."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import pytest

from prodlytics.datasets.models import validate
from prodlytics_tests.kpi import floor
from prodlytics_tests.kpi.floor import at, calendar, entries, entry, states, stops_of

PLANNED = calendar((480, "planned"))


def brief(stops: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    """Minutes from six to minutes from six, and the columns asked for."""

    def minutes(time: Any) -> float | None:
        return None if pd.isna(time) else (time - at(0)).total_seconds() / 60

    return [
        (minutes(row["time_start"]), minutes(row["time_end"]), *(row[name] for name in columns))
        for _, row in stops.iterrows()
    ]


def test_running_and_unknown_are_no_stops() -> None:
    said = states((100, "running"), (10, "idle"), (50, "unknown"), (20, "fault"), (300, "running"))
    stops = stops_of(floor.plant(), said, PLANNED)
    assert brief(stops, "state", "bucket") == [(100, 110, "idle", "other_stop"), (160, 180, "fault", "failure")]
    assert stops["stop_id"].tolist() == ["M1@2026-03-02T13:40:00Z", "M1@2026-03-02T14:40:00Z"]
    assert not validate("downtime_events", stops).problems


@pytest.mark.parametrize(
    ("state", "bucket"),
    [
        ("fault", "failure"), ("setup", "changeover"), ("idle", "other_stop"), ("starved", "other_stop"),
        ("blocked", "other_stop"), ("off", "other_stop"),
    ],
)  # fmt: skip
def test_without_a_reason_the_state_says_which_loss(state: str, bucket: str) -> None:
    stops = stops_of(floor.plant(), states((10, "running"), (10, state), (10, "running")), PLANNED)
    assert brief(stops, "bucket", "reason_code", "reason_source") == [(10, 20, bucket, None, None)]


def test_one_stop_has_a_part_per_state_and_fault() -> None:
    said = states((10, "running"), (5, "fault", "E1"), (5, "fault", "E2"), (5, "idle"), (5, "setup"), (9, "running"))
    stops = stops_of(floor.plant(), said, PLANNED)
    assert brief(stops, "state", "fault_code", "bucket") == [
        (10, 15, "fault", "E1", "failure"),
        (15, 20, "fault", "E2", "failure"),
        (20, 25, "idle", None, "other_stop"),
        (25, 30, "setup", None, "changeover"),
    ]
    assert stops["stop_id"].nunique() == 1
    assert set(stops["stop_started_at"]) == {at(10)}
    assert set(stops["stop_ended_at"]) == {at(30)}


def test_rows_cut_at_the_edge_of_a_day_are_one_part() -> None:
    said = states((10, "running"), (5, "idle"), (5, "idle"), (10, "running"))
    assert brief(stops_of(floor.plant(), said, PLANNED)) == [(10, 20)]


def test_a_stop_over_the_night_boundary_keeps_its_id() -> None:
    day_before = floor.DAY - dt.timedelta(days=1)
    plan = calendar((60, "planned", "Shift 3", day_before), (60, "planned", "Shift 1", floor.DAY), start=-60)
    said = states((30, "running"), (60, "fault"), (30, "running"), start=-60)
    stops = stops_of(floor.plant(), said, plan)
    assert brief(stops, "stop_id", "shift", "production_date") == [
        (-30, 30, "M1@2026-03-02T11:30:00Z", "Shift 3", day_before)
    ]


def test_a_state_carried_into_the_window_gives_the_stop_its_true_start() -> None:
    said = states((60, "fault"), (60, "running"))
    said.loc[0, "state_started_at"] = at(-45)
    stops = stops_of(floor.plant(), said, PLANNED)
    assert brief(stops, "stop_id") == [(0, 60, "M1@2026-03-02T11:15:00Z")]
    assert stops["stop_started_at"].tolist() == [at(-45)]


def test_stop_ids_tell_microseconds_apart() -> None:
    said = states((10.0001, "running"), (10, "idle"), (10, "running"))
    assert stops_of(floor.plant(), said, PLANNED)["stop_id"].tolist() == ["M1@2026-03-02T12:10:00.006000Z"]


def test_a_break_makes_no_row_and_does_not_end_the_stop() -> None:
    plan = calendar((60, "planned"), (30, "break"), (60, "planned"))
    stops = stops_of(floor.plant(), states((50, "running"), (60, "fault"), (40, "running")), plan)
    assert brief(stops) == [(50, 60), (90, 110)]
    assert stops["stop_id"].nunique() == 1


def test_not_scheduled_time_makes_no_row_and_the_stop_goes_on_after_it() -> None:
    plan = calendar((60, "planned"), (300, "not_scheduled"), (60, "planned"))
    stops = stops_of(floor.plant(), states((30, "running"), (360, "off"), (30, "running")), plan)
    assert brief(stops, "bucket") == [(30, 60, "other_stop"), (360, 390, "other_stop")]
    assert stops["stop_id"].tolist() == ["M1@2026-03-02T12:30:00Z"] * 2


def test_a_stop_outside_the_schedule_is_nothing() -> None:
    plan = calendar((60, "planned"), (60, "not_scheduled"))
    assert stops_of(floor.plant(), states((70, "running"), (50, "fault")), plan).empty


def test_planned_stops_are_planned_stops_whatever_the_state_and_the_reason() -> None:
    plan = calendar((60, "planned"), (60, "planned_stop"), (60, "planned"))
    said = entries(entry(60, 90, reason_code="MECH_A"))
    stops = stops_of(floor.plant(), states((60, "running"), (90, "fault"), (30, "running")), plan, said)
    assert brief(stops, "bucket", "reason_code", "reason_source", "reason_detail") == [
        (60, 90, "planned_stop", "MECH_A", "operator", "Bearing"),
        (90, 120, "planned_stop", None, "calendar", "planned_stop as written"),
        (120, 150, "failure", None, None, None),
    ]


class TestMicroStops:
    def test_shorter_than_the_threshold(self) -> None:
        said = states((10, "running"), (119 / 60, "idle"), (10, "running"), (2, "idle"), (10, "running"))
        assert stops_of(floor.plant(), said, PLANNED)["bucket"].tolist() == ["micro_stop", "other_stop"]

    def test_the_machine_has_its_own_threshold(self) -> None:
        said = states((10, "running"), (3, "idle"), (10, "running"))
        assert stops_of(floor.plant({"micro_stop_s": 300}), said, PLANNED)["bucket"].tolist() == ["micro_stop"]

    def test_the_threshold_of_the_day_counts(self) -> None:
        history = [{"value": 300}, {"since": "2026-03-03", "value": 60}]
        plan = calendar((60, "planned"), (60, "planned", "Shift 1", floor.DAY + dt.timedelta(days=1)))
        said = states((50, "running"), (3, "idle"), (20, "running"), (3, "idle"), (44, "running"))
        stops = stops_of(floor.plant({"micro_stop_s": history}), said, plan)
        assert stops["bucket"].tolist() == ["micro_stop", "other_stop"]

    def test_the_whole_stop_counts_not_its_parts(self) -> None:
        said = states((10, "running"), (1.5, "idle"), (1.5, "fault"), (10, "running"))
        assert stops_of(floor.plant(), said, PLANNED)["bucket"].tolist() == ["other_stop", "failure"]

    def test_only_planned_time_of_the_stop_counts(self) -> None:
        plan = calendar((60, "planned"), (60, "not_scheduled"), (60, "planned"))
        said = states((58, "running"), (62.5, "off"), (59.5, "running"))
        assert stops_of(floor.plant(), said, plan)["bucket"].tolist() == ["other_stop", "other_stop"]
        shorter = states((59.5, "running"), (61, "off"), (59.5, "running"))
        assert stops_of(floor.plant(), shorter, plan)["bucket"].tolist() == ["micro_stop", "micro_stop"]

    def test_a_fault_of_the_machine_does_not_make_it_more(self) -> None:
        said = states((10, "running"), (1, "fault", "E1"), (10, "running"))
        stops = stops_of(floor.plant(), said, PLANNED)
        assert brief(stops, "bucket", "reason_code", "reason_source") == [
            (10, 11, "micro_stop", "MECH_A", "fault_code")
        ]

    def test_an_operators_reason_does(self) -> None:
        said = states((10, "running"), (1, "idle"), (10, "running"))
        stops = stops_of(floor.plant(), said, PLANNED, entries(entry(10, 11, reason_code="MATL_A")))
        assert brief(stops, "bucket", "reason_code") == [(10, 11, "other_stop", "MATL_A")]


class TestReasons:
    said = states((10, "running"), (60, "fault", "E1"), (10, "running"))

    def test_the_fault_code_gives_one(self) -> None:
        stops = stops_of(floor.plant(), self.said, PLANNED)
        assert brief(stops, "reason_code", "reason_category", "reason_detail", "reason_source", "operator_id") == [
            (10, 70, "MECH_A", "MECH", "Bearing", "fault_code", None)
        ]

    def test_a_person_knows_better_and_splits_the_stop(self) -> None:
        said = entries(entry(30, 50, reason_code="SETUP_A", note="while we were at it"))
        stops = stops_of(floor.plant(), self.said, PLANNED, said)
        assert brief(stops, "reason_code", "bucket", "reason_source", "operator_id", "notes") == [
            (10, 30, "MECH_A", "failure", "fault_code", None, None),
            (30, 50, "SETUP_A", "changeover", "operator", "B42", "while we were at it"),
            (50, 70, "MECH_A", "failure", "fault_code", None, None),
        ]
        assert stops["stop_id"].nunique() == 1

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    def test_the_latest_entered_wins_an_overlap(self, order: tuple[int, int]) -> None:
        both = [
            entry(10, 50, reason_code="MATL_A", entered_at=at(100), source_key="first"),
            entry(30, 70, reason_code="SETUP_A", entered_at=at(200), source_key="second"),
        ]
        stops = stops_of(floor.plant(), self.said, PLANNED, entries(*(both[n] for n in order)))
        assert brief(stops, "reason_code") == [(10, 30, "MATL_A"), (30, 70, "SETUP_A")]

    def test_an_older_entry_shows_where_the_newer_does_not_reach(self) -> None:
        said = entries(
            entry(10, 70, reason_code="MATL_A", entered_at=at(100)),
            entry(30, 40, reason_code="SETUP_A", entered_at=at(200)),
        )
        stops = stops_of(floor.plant(), self.said, PLANNED, said)
        assert brief(stops, "reason_code") == [(10, 30, "MATL_A"), (30, 40, "SETUP_A"), (40, 70, "MATL_A")]

    def test_an_entry_reaches_over_several_stops_but_not_over_running(self) -> None:
        said = states((10, "running"), (10, "idle"), (10, "running"), (10, "idle"), (10, "running"))
        stops = stops_of(floor.plant(), said, PLANNED, entries(entry(0, 480, reason_code="MATL_A")))
        assert brief(stops, "reason_code") == [(10, 20, "MATL_A"), (30, 40, "MATL_A")]

    def test_without_an_end_it_holds_to_the_end_of_the_stop_and_no_further(self) -> None:
        said = states((10, "running"), (20, "idle"), (10, "running"), (20, "idle"), (10, "running"))
        stops = stops_of(floor.plant(), said, PLANNED, entries(entry(15, None, reason_code="MATL_A")))
        assert brief(stops, "reason_code") == [(10, 15, None), (15, 30, "MATL_A"), (40, 60, None)]

    def test_without_an_end_outside_any_stop_it_says_nothing(self) -> None:
        stops = stops_of(floor.plant(), self.said, PLANNED, entries(entry(5, None, reason_code="MATL_A")))
        assert brief(stops, "reason_source") == [(10, 70, "fault_code")]

    def test_a_category_alone_is_a_reason(self) -> None:
        stops = stops_of(floor.plant(), self.said, PLANNED, entries(entry(10, 70, reason_code="MATL")))
        assert brief(stops, "reason_code", "reason_category", "reason_detail", "bucket") == [
            (10, 70, "MATL", "MATL", "Material", "other_stop")
        ]

    def test_a_code_nobody_configured_is_kept_but_decides_nothing(self) -> None:
        said = entries(entry(10, 70, reason_code="X99", note="see log"))
        stops = stops_of(floor.plant(), self.said, PLANNED, said)
        assert brief(stops, "reason_code", "reason_category", "reason_detail", "bucket") == [
            (10, 70, "X99", None, "see log", "failure")
        ]

    def test_a_reason_can_make_a_stop_planned(self) -> None:
        stops = stops_of(floor.plant(), self.said, PLANNED, entries(entry(10, 70, reason_code="PM_A")))
        assert brief(stops, "bucket") == [(10, 70, "planned_stop")]

    def test_other_kinds_of_entries_are_no_reasons(self) -> None:
        said = entries(entry(10, 70, kind="scrap", reason_code="MATL_A"), entry(10, 70, kind="note"))
        assert brief(stops_of(floor.plant(), self.said, PLANNED, said), "reason_code") == [(10, 70, "MECH_A")]


class TestOpenStops:
    def test_the_part_that_lasts_has_no_end(self) -> None:
        said = states((10, "running"), (10, "idle"), (20, "fault"), is_open=True)
        stops = stops_of(floor.plant(), said, PLANNED)
        assert brief(stops) == [(10, 20), (20, None)]
        assert stops["stop_ended_at"].isna().all()

    def test_a_part_that_the_schedule_ended_has_its_end(self) -> None:
        said = states((10, "running"), (100, "fault"), is_open=True)
        stops = stops_of(floor.plant(), said, calendar((60, "planned"), (60, "not_scheduled")))
        assert brief(stops) == [(10, 60)]
        assert stops["stop_ended_at"].isna().all()

    def test_an_open_ended_reason_goes_on_with_it(self) -> None:
        said = states((10, "running"), (20, "fault"), is_open=True)
        stops = stops_of(floor.plant(), said, PLANNED, entries(entry(15, None, reason_code="MATL_A")))
        assert brief(stops, "reason_code") == [(10, 15, None), (15, None, "MATL_A")]


def test_the_order_that_was_worked_on_is_named() -> None:
    said = states((10, "running"), (10, "idle"), (10, "running"), (10, "idle"), (10, "running"), (10, "idle"))
    orders = floor.orders(("W1", 0, 20), ("W2", 35, None), ("W3", 40, 45))
    stops = stops_of(floor.plant(), said, PLANNED, orders=orders)
    assert brief(stops, "work_order") == [(10, 20, "W1"), (30, 40, None), (50, 60, "W2")]


def test_nothing_stopped_gives_an_empty_frame_of_the_right_types() -> None:
    stops = stops_of(floor.plant(), states((10, "running")), PLANNED, entries(entry(0, None, reason_code="MATL_A")))
    assert stops.empty
    assert not validate("downtime_events", stops).problems


def test_no_states_at_all() -> None:
    assert stops_of(floor.plant(), states()[:0], PLANNED).empty
