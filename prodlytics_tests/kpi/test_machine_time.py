"""The ledger: every instant once, the right one on top, against a second-by-second count of its own."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodlytics.datasets.models import validate
from prodlytics.kpi.machine_time import CalendarHoleError, derive_machine_time
from prodlytics.plant.calendar import plan_rows, production_day
from prodlytics_tests.kpi import floor, second_grid
from prodlytics_tests.kpi.floor import at, calendar, entries, entry, ledger_of, state_spans, states

PLANNED = calendar((480, "planned"))


def brief(ledger: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    return [
        (
            (row["starts_at"] - at(0)).total_seconds() / 60,
            (row["ends_at"] - at(0)).total_seconds() / 60,
            *(row[name] for name in columns),
        )
        for _, row in ledger.iterrows()
    ]


def lengths(ledger: pd.DataFrame) -> pd.Series[int]:
    """Exact microseconds per row."""
    return (ledger["ends_at"] - ledger["starts_at"]) // pd.Timedelta(microseconds=1)


def assert_exact_cover(ledger: pd.DataFrame, start: dt.datetime, end: dt.datetime) -> None:
    assert ledger["starts_at"].iloc[0] == start
    assert ledger["ends_at"].iloc[-1] == end
    assert (ledger["ends_at"] > ledger["starts_at"]).all()
    assert all(before == after for before, after in zip(ledger["ends_at"], ledger["starts_at"][1:], strict=False))


# ---- who wins an instant -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("plan", ["planned", "break", "planned_stop", "not_scheduled"])
@pytest.mark.parametrize("state", ["running", "unknown", "idle", "fault", "setup"])
def test_priority(plan: str, state: str) -> None:
    ledger = ledger_of(floor.plant(), states((60, state)), calendar((60, plan)), at(0), at(60))
    stopped = {"idle": "other_stop", "fault": "failure", "setup": "changeover", "unknown": "unknown"}
    expected = "running" if state == "running" else stopped[state] if plan == "planned" else plan
    assert brief(ledger, "bucket", "plan", "state") == [(0, 60, expected, plan, state)]
    has_stop = plan in ("planned", "planned_stop") and state in ("idle", "fault", "setup")
    assert ledger["stop_id"].notna().tolist() == [has_stop]
    assert not validate("machine_time", ledger).problems


def test_it_is_cut_at_hours_shifts_plan_and_stop_parts() -> None:
    plan = calendar(
        (90, "planned", "Shift 1", floor.DAY),
        (30, "break", "Shift 1", floor.DAY),
        (60, "planned", "Shift 2", floor.DAY),
    )
    said = entries(entry(75, 85, reason_code="MATL_A"))
    ledger = ledger_of(
        floor.plant(), states((70, "running"), (80, "fault"), (30, "running")), plan, at(0), at(180), said
    )
    assert brief(ledger, "bucket", "reason_code", "shift") == [
        (0, 60, "running", None, "Shift 1"),
        (60, 70, "running", None, "Shift 1"),
        (70, 75, "failure", None, "Shift 1"),
        (75, 85, "other_stop", "MATL_A", "Shift 1"),
        (85, 90, "failure", None, "Shift 1"),
        (90, 120, "break", None, "Shift 1"),
        (120, 150, "failure", None, "Shift 2"),
        (150, 180, "running", None, "Shift 2"),
    ]
    assert ledger["stop_id"].dropna().unique().tolist() == ["M1@2026-03-02T13:10:00Z"]
    assert ledger["time_bucket"].tolist() == [at(0), *[at(60)] * 5, at(120), at(120)]


def test_overlapping_stops_are_a_union() -> None:
    # [10:05, 10:25) and [10:15, 10:40) are 35 minutes, not 45.
    said = entries(entry(5, 25, reason_code="MECH_A"), entry(15, 40, reason_code="MATL_A", entered_at=at(3000)))
    ledger = ledger_of(
        floor.plant(), states((5, "running"), (35, "idle"), (20, "running")), PLANNED, at(0), at(60), said
    )
    assert lengths(ledger)[ledger["stop_id"].notna()].sum() == 35 * 60_000_000
    assert brief(ledger, "reason_code")[1:3] == [(5, 15, "MECH_A"), (15, 40, "MATL_A")]


def test_an_open_stop_ends_where_the_data_does() -> None:
    ledger = ledger_of(floor.plant(), states((10, "running"), (25, "fault"), is_open=True), PLANNED, at(0), at(60))
    assert brief(ledger, "bucket") == [(0, 10, "running"), (10, 35, "failure")]


def test_nothing_known_before_the_first_state_and_in_holes() -> None:
    spans = [(at(10), at(20), "running", None), (at(30), at(40), "running", None)]
    ledger = ledger_of(floor.plant(), state_spans(spans), PLANNED, at(0), at(60))
    assert brief(ledger, "bucket") == [
        (0, 10, "unknown"), (10, 20, "running"), (20, 30, "unknown"), (30, 40, "running")
    ]  # fmt: skip


def test_states_that_are_newer_than_the_stops_speak_for_themselves() -> None:
    plant = floor.plant()
    said = states((10, "running"), (20, "fault"), (10, "running"))
    nothing_yet = floor.stops_of(plant, states((10, "running")), PLANNED)
    ledger = derive_machine_time(plant, plant.machines[0], PLANNED, said, nothing_yet, at(0), at(40))
    assert brief(ledger, "bucket", "stop_id") == [
        (0, 10, "running", None), (10, 30, "failure", None), (30, 40, "running", None)
    ]  # fmt: skip


def test_without_states_there_is_no_ledger() -> None:
    ledger = ledger_of(floor.plant(), states()[:0], PLANNED, at(0), at(60))
    assert ledger.empty
    assert not validate("machine_time", ledger).problems


def test_a_calendar_with_a_hole_is_refused_by_name() -> None:
    with pytest.raises(CalendarHoleError, match=r"M1: plan_calendar says nothing about 2026-03-02T14:00:00"):
        ledger_of(floor.plant(), states((240, "running")), calendar((120, "planned")), at(0), at(240))


@pytest.mark.parametrize(
    ("date", "hours", "night_hours"), [("2026-03-07", 23, 6), ("2026-03-08", 24, 7), ("2026-10-31", 25, 8)]
)
def test_days_on_which_the_clocks_change(date: str, hours: int, night_hours: int) -> None:
    plant = floor.plant()
    machine = plant.machines[0]
    start, end = production_day(plant, dt.date.fromisoformat(date))
    plan = plan_rows(plant, machine, start, end)
    said = state_spans([(start, end, "running", None)])
    ledger = derive_machine_time(plant, machine, plan, said, floor.stops_of(plant, said, plan), start, end)
    assert_exact_cover(ledger, start, end)
    assert ledger["time_bucket"].nunique() == hours
    assert lengths(ledger).sum() == hours * 3_600_000_000
    assert lengths(ledger)[ledger["shift"] == "Shift 3"].sum() == night_hours * 3_600_000_000
    assert set(ledger["production_date"]) == {dt.date.fromisoformat(date)}


def test_hours_count_from_a_boundary_at_half_past() -> None:
    plant = floor.plant(day_boundary="06:30")
    ledger = ledger_of(plant, states((120, "running")), PLANNED, at(30), at(120))
    assert ledger["time_bucket"].tolist() == [at(30), at(90)]


def test_an_hour_in_which_the_production_date_changes_is_two_buckets() -> None:
    # The night shift ends at a quarter past six.
    yesterday = floor.DAY - dt.timedelta(days=1)
    plan = calendar((15, "planned", "Shift 3", yesterday), (105, "planned"))
    ledger = ledger_of(floor.plant(), states((120, "running")), plan, at(0), at(120))
    assert ledger["time_bucket"].tolist() == [at(0), at(15), at(60)]
    assert ledger["production_date"].tolist() == [yesterday, floor.DAY, floor.DAY]


# ---- against the grid --------------------------------------------------------------------------------------------
STATES = st.tuples(
    st.sampled_from(["running", "running", "idle", "fault", "setup", "blocked", "unknown"]),
    st.sampled_from([None, "E1", "E2"]),
)
PLANS = st.sampled_from(["planned", "planned", "planned", "break", "planned_stop", "not_scheduled"])


@st.composite
def shops(draw: st.DrawFn) -> tuple[list[Any], list[Any], list[second_grid.Said]]:
    """Runs of states and of plans in seconds, and what people said about them."""
    runs = draw(st.lists(st.tuples(st.integers(1, 900), STATES), min_size=1, max_size=25))
    total = sum(length for length, _ in runs)
    plans = draw(st.lists(st.tuples(st.integers(1, 2400), PLANS), min_size=1, max_size=8))
    said = []
    for entered in range(draw(st.integers(0, 4))):
        start = draw(st.integers(-100, total))
        length = draw(st.none() | st.integers(1, 3000))
        code = draw(st.sampled_from(sorted(second_grid.LOSS)))
        said.append(second_grid.Said(start, None if length is None else start + length, code, entered))
    return runs, plans, said


def _seconds(runs: list[tuple[int, Any]], total: int) -> list[Any]:
    grid = [what for length, what in runs for _ in range(length)]
    return (grid + [grid[-1]] * total)[:total]


def _frames(
    shop: tuple[list[Any], list[Any], list[second_grid.Said]], us: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, int]:
    """The frames of a shop; every edge of a state is moved by some microseconds, which the grid cannot see."""
    runs, plans, said = shop
    total = sum(length for length, _ in runs)
    spans, second = [], 0
    for length, (name, fault) in runs:
        shift = us if second else 0
        end_shift = us if second + length < total else 0
        spans.append(
            (
                floor.SIX + dt.timedelta(seconds=second, microseconds=shift),
                floor.SIX + dt.timedelta(seconds=second + length, microseconds=end_shift),
                name,
                fault if name == "fault" else None,
            )
        )
        second += length
    grid = _seconds(plans, total)
    edges = [0, *(n for n in range(1, total) if grid[n] != grid[n - 1]), total]
    plan = calendar(*(((b - a) / 60, grid[a]) for a, b in pairwise(edges)))
    rows = entries(
        *(
            entry(
                one.start / 60,
                None if one.end is None else one.end / 60,
                reason_code=one.code,
                entered_at=floor.NOW + dt.timedelta(seconds=one.entered),
            )
            for one in said
        )
    )
    return state_spans(spans), plan, rows, total


@settings(max_examples=150, deadline=None)
@given(shop=shops(), micro_stop_s=st.sampled_from([1, 60, 120, 600]))
def test_every_second_is_what_a_count_by_hand_says(
    shop: tuple[list[Any], list[Any], list[second_grid.Said]], micro_stop_s: int
) -> None:
    runs, plans, said = shop
    state_frame, plan, rows, total = _frames(shop)
    plant = floor.plant({"micro_stop_s": micro_stop_s})
    end = floor.SIX + dt.timedelta(seconds=total)
    ledger = ledger_of(plant, state_frame, plan, floor.SIX, end, rows)
    assert_exact_cover(ledger, floor.SIX, end)

    state = [(name, fault if name == "fault" else None) for name, fault in _seconds(runs, total)]
    expected = second_grid.ledger(state, _seconds(plans, total), said, micro_stop_s)
    got: list[tuple[str, str | None, int | None, int]] = []
    for _, row in ledger.iterrows():
        stop = row["stop_id"]
        began = None if stop is None else dt.datetime.fromisoformat(stop.split("@")[1])
        first = None if began is None else int((began - floor.SIX).total_seconds())
        hour = int((row["time_bucket"] - floor.SIX).total_seconds()) // 3600
        got += [(row["bucket"], row["reason_code"], first, hour)] * int(
            (row["ends_at"] - row["starts_at"]).total_seconds()
        )
    assert got == [(cell.bucket, cell.reason, cell.stop, n // 3600) for n, cell in enumerate(expected)]


@settings(max_examples=100, deadline=None)
@given(shop=shops(), us=st.integers(1, 999_999))
def test_to_the_microsecond_nothing_is_lost_or_counted_twice(
    shop: tuple[list[Any], list[Any], list[second_grid.Said]], us: int
) -> None:
    state_frame, plan, rows, total = _frames(shop, us)
    end = floor.SIX + dt.timedelta(seconds=total)
    ledger = ledger_of(floor.plant(), state_frame, plan, floor.SIX, end, rows)
    assert_exact_cover(ledger, floor.SIX, end)
    assert lengths(ledger).sum() == total * 1_000_000
    running = lengths(state_frame)[state_frame["state"] == "running"].sum()
    assert lengths(ledger)[ledger["bucket"] == "running"].sum() == running


@settings(max_examples=60, deadline=None)
@given(shop=shops(), order=st.randoms(use_true_random=False))
def test_any_order_of_arrival_gives_the_same_ledger(
    shop: tuple[list[Any], list[Any], list[second_grid.Said]], order: Any
) -> None:
    frames = _frames(shop)
    end = floor.SIX + dt.timedelta(seconds=frames[3])

    def shuffled(frame: pd.DataFrame) -> pd.DataFrame:
        rows = list(range(len(frame)))
        order.shuffle(rows)
        return frame.iloc[rows].reset_index(drop=True)

    straight = ledger_of(floor.plant(), frames[0], frames[1], floor.SIX, end, frames[2])
    mixed = ledger_of(floor.plant(), shuffled(frames[0]), shuffled(frames[1]), floor.SIX, end, shuffled(frames[2]))
    pd.testing.assert_frame_equal(straight, mixed)


@settings(max_examples=60, deadline=None)
@given(shop=shops(), where=st.floats(0, 1))
def test_cutting_the_inputs_elsewhere_changes_nothing(
    shop: tuple[list[Any], list[Any], list[second_grid.Said]], where: float
) -> None:
    said, plan, rows, total = _frames(shop)
    end = floor.SIX + dt.timedelta(seconds=total)
    cut = floor.SIX + dt.timedelta(seconds=int(total * where))
    inside = said[(said["starts_at"] < cut) & (said["ends_at"] > cut)]
    halves = pd.concat([said.drop(inside.index), inside.assign(ends_at=cut), inside.assign(starts_at=cut)])
    for column in ("starts_at", "ends_at"):
        halves[column] = halves[column].astype("datetime64[us, UTC]")
    plant = floor.plant()
    whole = ledger_of(plant, said, plan, floor.SIX, end, rows)
    pd.testing.assert_frame_equal(whole, ledger_of(plant, halves, plan, floor.SIX, end, rows))


@settings(max_examples=60, deadline=None)
@given(shop=shops())
def test_an_hour_computed_alone_is_the_hour_of_the_whole(
    shop: tuple[list[Any], list[Any], list[second_grid.Said]],
) -> None:
    said, plan, rows, total = _frames(shop)
    end = floor.SIX + dt.timedelta(seconds=total)
    plant = floor.plant()
    stops = floor.stops_of(plant, said, plan, rows)
    whole = ledger_of(plant, said, plan, floor.SIX, end, rows)
    parts = []
    for begin in range(0, total, 3600):
        first, last = floor.SIX + dt.timedelta(seconds=begin), floor.SIX + dt.timedelta(seconds=begin + 3600)
        of_hour = said[(said["starts_at"] < last) & (said["ends_at"] > first)]
        parts.append(derive_machine_time(plant, plant.machines[0], plan, of_hour, stops, first, last))
    pd.testing.assert_frame_equal(whole, pd.concat(parts, ignore_index=True))
