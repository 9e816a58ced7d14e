"""The report's figures against a day worked out by hand (see known_day)."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from prodlytics.kpi.losses import LossesDoNotBalanceError
from prodlytics.report.daily import build
from prodlytics.report.figures import figures_of
from prodlytics_tests.report.known_day import (
    DATE,
    LEDGER,
    M1,
    M2,
    START,
    STOPS,
    at,
    before,
    elements,
    known_day,
    plant,
    span,
)


def test_the_plant() -> None:
    day = figures_of(known_day()).day
    assert (day.oee, day.availability, day.performance, day.quality) == pytest.approx((1 / 2, 2 / 3, 0.8, 150 / 160))
    assert day.reason is None


def test_losses_in_minutes_and_money() -> None:
    figures = figures_of(known_day())
    # Rejects cost what their scrap costs; four of them nobody knows the cost of.
    assert [(loss.loss, loss.minutes, loss.cost) for loss in figures.losses] == [
        ("unplanned_stop", pytest.approx(80), pytest.approx(80)),
        ("reduced_speed", pytest.approx(40), pytest.approx(40)),
        ("changeover", pytest.approx(20), pytest.approx(20)),
        ("defects", pytest.approx(10), pytest.approx(15)),
    ]
    assert figures.lost_minutes == pytest.approx(figures.planned_minutes - 150) == pytest.approx(150)
    assert figures.lost_cost == pytest.approx(155)


def test_causes_with_their_evidence() -> None:
    figures = figures_of(known_day())
    assert [(cause.code, cause.minutes, cause.stops) for cause in figures.causes] == [
        ("MECH_A", 50.0, 2),
        ("changeover", 20.0, 1),
    ]
    longest = figures.causes[0].longest
    assert longest is not None
    assert (longest.machine, longest.started_at, longest.minutes) == ("Press one", at("08:00"), 40.0)
    assert (longest.fault_code, longest.note) == ("E-17", "greased <b>twice</b> & still hot")
    # 30 of the 80 minutes of failure and other stops; a changeover needs no answer.
    assert (figures.unexplained_minutes, figures.asked_minutes, figures.unexplained_stops) == (30.0, 80.0, 1)


def test_a_stop_in_pieces_is_one_stop() -> None:
    pieces = [
        *LEDGER[:1],
        span("M1", "08:00", "08:30", "failure", "MECH_A", "s1"),
        span("M1", "08:30", "08:40", "failure", "MECH_A", "s1"),
        *LEDGER[2:],
    ]
    (first, *_) = figures_of(known_day(ledger=pieces)).causes
    assert (first.minutes, first.stops) == (50.0, 2)
    assert first.longest is not None
    assert first.longest.minutes == 40.0


def test_machines_worst_first_and_silent_ones_last() -> None:
    better = elements("M2", good=90, running=100)
    figures = figures_of(known_day(oee=[M1, better], ledger=[*LEDGER[:-1], span("M2", "06:00", "07:40", "running")]))
    assert [(line.machine_id, line.ratios.oee) for line in figures.machines] == [
        ("M1", pytest.approx(0.5)),
        ("M2", pytest.approx(0.9)),
    ]
    silent = figures_of(known_day()).machines[-1]
    assert (silent.machine_id, silent.ratios.oee, silent.ratios.reason) == ("M2", None, "no_data")
    assert (silent.good, silent.reject) == (None, None)
    # Half of the scheduled time of the plant is unknown, all of the second press's.
    assert (figures_of(known_day()).coverage, silent.coverage) == (0.5, 0.0)


def test_scrap_with_and_without_cost() -> None:
    found = [(s.category, s.reason, s.pieces, s.cost, s.pieces_without_cost) for s in figures_of(known_day()).scrap]
    assert found == [("SURF", "scratch", 6.0, 15.0, 0.0), (None, None, 4.0, None, 4.0)]


def test_the_days_before_are_added_up_not_averaged() -> None:
    figures = figures_of(known_day(previous_oee=[before(1, 60), before(1, 60), before(2, 90)]))
    # 210 good minutes of 300; the mean of the days' 60 % and 90 % would be 75 %.
    assert figures.before.oee == pytest.approx(0.7)
    assert [point.ratios.oee for point in figures.trend[-3:]] == pytest.approx([0.9, 0.6, 0.5])
    assert [point.production_date for point in figures.trend] == [
        DATE - dt.timedelta(days=back) for back in range(13, -1, -1)
    ]
    assert all(point.ratios.oee is None for point in figures.trend[:-3])


def _restated(hour: int, column: str, old: float | None, new: float | None, revision: int = 2) -> dict[str, Any]:
    return {
        "dataset": "oee_hourly", "machine_id": "M1", "time_bucket": START + dt.timedelta(hours=hour - 24),
        "production_date": DATE - dt.timedelta(days=1), "column_name": column, "old_value": old, "new_value": new,
        "old_revision": revision - 1, "new_revision": revision, "cause": "late rows", "restated_at": START,
    }  # fmt: skip


def test_restated_counts_are_added_up_and_ratios_are_not() -> None:
    rows = [
        _restated(0, "good_count", 10, 12),
        _restated(1, "good_count", 20, 25),
        _restated(0, "oee", 0.5, 0.6),
        _restated(1, "oee", 0.4, 0.7),
    ]
    (item,) = figures_of(known_day(restatements=rows)).restated
    assert (item.machine, item.cause, item.hours) == ("Press one", "late rows", 2)
    assert [(c.column, c.old, c.new, c.hour) for c in item.changes] == [
        ("good_count", 30.0, 37.0, None),
        ("oee", 0.4, 0.7, START + dt.timedelta(hours=-23)),
    ]


def test_restated_twice_is_first_to_last() -> None:
    rows = [_restated(0, "good_count", 12, 15, revision=3), _restated(0, "good_count", 10, 12, revision=2)]
    (item,) = figures_of(known_day(restatements=rows)).restated
    assert [(c.old, c.new) for c in item.changes] == [(10.0, 15.0)]
    there_and_back = [_restated(0, "good_count", 10, 12), _restated(0, "good_count", 12, 10, revision=3)]
    assert figures_of(known_day(restatements=there_and_back)).restated == ()


def test_a_figure_that_was_missing_before() -> None:
    (item,) = figures_of(known_day(restatements=[_restated(0, "oee", None, 0.6)])).restated
    assert [(c.old, c.new) for c in item.changes] == [(None, 0.6)]


def test_tables_that_contradict_each_other_make_no_report() -> None:
    with pytest.raises(LossesDoNotBalanceError, match="M1: planned time differs"):
        build(known_day(ledger=[*LEDGER[:1], *LEDGER[2:]]))


def test_the_summary_is_json_without_inventions() -> None:
    summary = json.loads(json.dumps(build(known_day()).summary, allow_nan=False))
    assert summary["plant_oee"] == pytest.approx(0.5)
    assert summary["production_date"] == "2026-11-20"
    assert summary["machines"][1]["ratios"]["oee"] is None
    nothing = build(known_day(oee=[], previous_oee=[], ledger=[], stops=[], scrap=[])).summary
    assert json.loads(json.dumps(nothing, allow_nan=False))["plant_oee"] is None


def test_a_machine_without_a_rate_has_time_but_no_money() -> None:
    down = elements("M2", good=60, running=100, other_stop=30)
    ledger = [
        *LEDGER[:-1],
        span("M2", "06:00", "07:40", "running"),
        span("M2", "07:40", "08:10", "other_stop", None, "x"),
    ]
    figures = figures_of(known_day(oee=[M1, down], ledger=ledger))
    stops = next(loss for loss in figures.losses if loss.loss == "unplanned_stop")
    assert (stops.minutes, stops.cost, stops.minutes_without_rate) == pytest.approx((110, 80, 30))
    without = figures_of(known_day(plant=plant(), oee=[M2], ledger=LEDGER[-1:], stops=STOPS[:0], scrap=[]))
    assert (without.lost_minutes, without.lost_cost) == (0.0, None)
