"""Explained hours against arithmetic done by hand."""

from __future__ import annotations

import datetime as dt
import json
from fractions import Fraction
from itertools import pairwise

import pandas as pd
import pytest

from prodlytics.kpi.explain import Background
from prodlytics.kpi.explained import Mark, Restatement
from prodlytics.plant.calendar import plan_rows, production_day
from prodlytics.report.explain_text import as_text
from prodlytics_tests.kpi import floor
from prodlytics_tests.kpi.explained_floor import explained, told
from prodlytics_tests.kpi.floor import at, calendar, entries, entry, events, state_spans, states

PLANNED = calendar((480, "planned"))


def test_an_hour_by_hand_has_all_its_numbers_in_the_text() -> None:
    # 60 min: 59 planned (1 min break), 7 min fault said to be a bearing, so 52 min run, 0.5 of it a micro-stop.
    # P30 on M1: 30 s each; 80 good and 4 rejects are 84 x 30 s = 2,520 s, the good ones 2,400 s.
    # A = 3,120 / 3,540 = 88.14 %, P = 2,520 / 3,120 = 80.77 %, Q = 2,400 / 2,520 = 95.24 %, OEE = 2,400 / 3,540.
    said = states((30, "running"), (0.5, "idle"), (9.5, "running"), (1, "idle"), (7, "fault", "E1"), (12, "running"))
    plan = calendar((40, "planned"), (1, "break"), (439, "planned"))
    made = events((10, 50, 0, 0, "P30"), (20, 0, 4, 0, "P30"), (59, 30, 0, 0, "P30"))
    reasons = entries(entry(41, 48, reason_code="MECH_A", entered_by="B42"))
    one = explained(floor.plant(), said, plan, made, reasons=reasons)[0]
    text = told(one)
    assert "M1 (One, L1), Monday, 2 March 2026, 06:00 to 07:00 (CST, UTC-06:00)" in text
    assert "Planned time = running 3,090 s + micro-stop 30 s + failure 420 s = 3,540 s" in text
    assert "Run time = running 3,090 s + micro-stop 30 s = 3,120 s" in text
    assert "Ideal time = 84 parts x 30 s = 2,520 s" in text
    assert "Ideal time, good = 80 parts x 30 s = 2,400 s" in text
    assert "Availability = run time / planned time = 3,120 s / 3,540 s = 88.14 %" in text
    assert "Performance = ideal time of all parts / run time = 2,520 s / 3,120 s = 80.77 %" in text
    assert "Quality = ideal time of good parts / ideal time of all parts = 2,400 s / 2,520 s = 95.24 %" in text
    assert "OEE = ideal time of good parts / planned time = 2,400 s / 3,540 s = 67.80 %" in text
    assert "88.14 % x 80.77 % x 95.24 % = 67.80 %, the same" in text
    assert "06:41:00 06:48:00 420 failure lost" in text
    assert "operator B42 said Bearing" in text
    assert "06:40:00 06:41:00 break Shift 1 2026-03-02 break as written" in text
    assert "30 s (P30 on M1)" in text
    assert one.verdict is None
    assert one.figures.oee == Fraction(2400, 3540)


def test_every_line_fits_into_a_hundred_columns() -> None:
    said = states((30, "running"), (4, "fault", "E1"), (26, "running"))
    reasons = entries(entry(30, 34, reason_code="MECH_A", note="a long story about a bearing " * 8))
    one = explained(floor.plant(), said, PLANNED, events((10, 5)), reasons=reasons)[0]
    assert max(len(line) for line in as_text(one).splitlines()) <= 100


def test_all_of_it_survives_json() -> None:
    one = explained(floor.plant(), states((60, "running")), PLANNED, events((10, 20), (30, 0, 3)))[0]
    told = json.loads(json.dumps(one.as_dict()))
    assert told["figures"]["oee"] == pytest.approx(20 / 60)
    assert [interval["bucket"] for interval in told["intervals"]] == ["running"]
    assert sum(interval["duration_us"] for interval in told["intervals"]) == 3_600_000_000


def test_two_ideal_cycles_in_one_hour_are_added_part_by_part() -> None:
    # Reference case E13 on half its time: 60 min run, 50 pieces of 30 s and 30 of 50 s: P = 3,000 / 3,600.
    made = events((10, 50, 0, 0, "P30"), (40, 30, 0, 0, "P50"))
    one = explained(floor.plant(), states((60, "running")), PLANNED, made)[0]
    assert one.figures.performance == Fraction(3000, 3600)
    text = told(one)
    assert "Ideal time = 50 parts x 30 s + 30 parts x 50 s = 3,000 s" in text
    assert "= 3,000 s / 3,600 s = 83.33 %" in text


def test_the_ideal_cycle_says_where_it_comes_from() -> None:
    plant = floor.plant(
        parts=[
            {"number": "P30", "name": "Thirty", "ideal_cycle_time_ms":
             {"M1": [{"since": "2026-01-01", "value": 40000}, {"since": "2026-02-01", "value": 30000}]}},
        ]
    )  # fmt: skip
    made = events((10, 1, 0, 0, "P30"), (20, 1, 0, 0, "P77"), (30, 1))
    one = explained(plant, states((60, "running")), PLANNED, made)[0]
    assert [(count.ideal_cycle_ms, count.ideal_cycle_from) for count in one.counts] == [
        (30000, "P30 on M1 since 2026-02-01"),
        (60000, "default of M1; P77 has none of its own here"),
        (60000, "default of M1; nobody said which part"),
    ]


def test_a_part_without_ideal_cycle_empties_performance_and_says_what_to_write() -> None:
    plant = floor.plant({"ideal_cycle_time_ms": None}, parts=[])
    one = explained(plant, states((60, "running")), PLANNED, events((10, 5), (20, 0, 1)))[0]
    assert (one.figures.performance, one.figures.oee) == (None, None)
    assert one.figures.quality == Fraction(5, 6)
    assert one.verdict is None
    assert "write ideal_cycle_time_ms" in told(one)


def test_a_machine_that_was_down_all_hour_has_oee_zero_and_says_why_the_rest_is_empty() -> None:
    one = explained(floor.plant(), states((60, "fault")), PLANNED, events())[0]
    text = told(one)
    assert "OEE = ideal time of good parts / planned time = 0 s / 3,600 s = 0.00 %" in text
    assert "OEE is 0 and not empty" in text
    assert "Performance is empty (no_run_time)" in text
    assert "Quality is empty (no_parts)" in text
    assert one.verdict is None


def test_an_hour_without_plan_is_empty_with_its_reason() -> None:
    one = explained(floor.plant(), states((60, "off")), calendar((480, "not_scheduled")), events())[0]
    text = told(one)
    assert "All ratios are empty (no_planned_time)" in text
    assert "OEE empty" in text
    assert one.verdict is None


def test_an_hour_nobody_knows_is_no_data() -> None:
    one = explained(floor.plant(), states((60, "unknown")), PLANNED, events())[0]
    assert "All ratios are empty (no_data)" in told(one)
    assert one.verdict is None


def test_parts_outside_oee_say_why() -> None:
    said = states((20, "running"), (20, "unknown"), (20, "running"))
    made = events((10, 5), (30, 7), (50, 100, 0, 0, None, "estimated"))
    one = explained(floor.plant(), said, PLANNED, made)[0]
    assert [count.kept_out is None for count in one.counts] == [True, False, False]
    text = told(one)
    assert "Kept out of OEE: 7 good, made between an unknown time and 06:30:00; nobody knows the state then" in text
    assert "Kept out of OEE: 100 good, estimated, made between" in text
    assert "counted across a silence of the feed" in text
    assert "Ideal time = 5 parts x 60 s = 300 s" in text


@pytest.mark.parametrize(
    ("state", "plan", "bucket", "rule"),
    [
        ("running", "break", "running", "running"),
        ("running", "not_scheduled", "running", "running"),
        ("fault", "not_scheduled", "not_scheduled", "not_scheduled"),
        ("fault", "break", "break", "break"),
        ("unknown", "break", "break", "break"),
        ("unknown", "planned", "unknown", "unknown"),
        ("fault", "planned", "failure", "stop"),
        ("setup", "planned", "changeover", "stop"),
        ("starved", "planned", "other_stop", "stop"),
        ("idle", "planned_stop", "planned_stop", "planned_stop"),
    ],
)
def test_each_interval_names_the_rule_that_won(state: str, plan: str, bucket: str, rule: str) -> None:
    one = explained(floor.plant(), states((60, state)), calendar((480, plan)), events())[0]
    interval = one.intervals[0]
    assert (interval.bucket, interval.rule, interval.expected_bucket) == (bucket, rule, bucket)


def test_running_in_a_break_says_that_it_is_planned_time() -> None:
    one = explained(floor.plant(), states((60, "running")), calendar((480, "break")), events((10, 60)))[0]
    assert one.figures.planned_time_us == 3_600_000_000
    assert "in a break: running outranks the plan and is planned time" in told(one)


def test_a_stop_is_told_whole_and_with_what_it_cost_here() -> None:
    # From 06:50 to 07:20; each hour has its share of it.
    said = states((50, "running"), (30, "fault", "E1"), (40, "running"))
    first, second = explained(floor.plant(), said, PLANNED, events())[:2]
    for one, cost in ((first, 600), (second, 1200)):
        (stop,) = one.stops
        assert (stop.starts_at, stop.ends_at) == (at(50), at(80))
        assert stop.in_hour_us == cost * 1_000_000
        assert "fault code E1" in as_text(one)


def test_a_stop_within_the_micro_stop_threshold_says_so() -> None:
    said = states((30, "running"), (1, "idle"), (29, "running"))
    one = explained(floor.plant(), said, PLANNED, events((10, 1)))[0]
    assert "under 120 s of planned time in all, and no person gave a reason" in told(one)


class TestStoredRowThatIsNotItsParts:
    SAID = states((60, "running"))
    MADE = events((10, 40))

    def test_is_said_loudly(self) -> None:
        one = explained(floor.plant(), self.SAID, PLANNED, self.MADE, changed={"oee": 0.712})[0]
        assert one.verdict is not None
        assert "oee stored 71.20 %, from its parts 66.67 %" in one.verdict
        assert "No mark says" in one.verdict
        assert "prodlytics backfill 2026-03-02" in as_text(one)

    def test_names_the_mark_that_waits(self) -> None:
        mark = Mark("production_events", "landed file late.csv", floor.NOW)
        one = explained(floor.plant(), self.SAID, PLANNED, self.MADE, changed={"good_count": 41.0},
                        background=Background(marks=[mark]))[0]  # fmt: skip
        assert one.verdict is not None
        assert "good_count stored 41, from its parts 40" in one.verdict
        assert "It waits to be computed again (landed file late.csv)" in one.verdict

    @pytest.mark.parametrize(
        ("column", "value"),
        [("run_time_us", 3_599_999_999), ("null_reason", "no_parts"), ("availability", None), ("failure_us", 1),
         ("convention", "planned_stops=availability_loss;changeover=availability_loss;unknown=excluded"),
         ("fingerprint", "0" * 64), ("production_date", dt.date(2026, 3, 3))],
    )  # fmt: skip
    def test_in_any_column(self, column: str, value: object) -> None:
        one = explained(floor.plant(), self.SAID, PLANNED, self.MADE, changed={column: value})[0]
        assert column in [difference.column for difference in one.differences]

    def test_ledger_that_plan_and_states_no_longer_give(self) -> None:
        from prodlytics.kpi.explain import explain, gather, stored_rows

        plant, said = floor.plant(), states((30, "running"), (30, "fault"))
        ledger = floor.ledger_of(plant, said, PLANNED, at(0), at(60))
        hours = floor.hours_of(plant, said, PLANNED, self.MADE, at(0), at(60))
        ran = states((60, "running"))
        stops = floor.stops_of(plant, ran, PLANNED)
        material = gather(plant, plant.machines[0], ledger=ledger, events=self.MADE, plan=PLANNED, states=ran,
                          stops=stops, start=at(0), end=at(1440))  # fmt: skip
        one = explain(material, stored_rows(hours.assign(revision=1))[0])
        assert "as failure, but plan, states and stops now say running" in told(one)


def test_restatements_say_what_changed_when_and_why() -> None:
    rows = [
        Restatement("oee", 0.5, 2 / 3, 1, 2, "landed file late.csv", floor.NOW),
        Restatement("good_count", 30.0, 40.0, 1, 2, "landed file late.csv", floor.NOW),
    ]
    one = explained(floor.plant(), states((60, "running")), PLANNED, events((10, 40)),
                    background=Background(restatements=rows))[0]  # fmt: skip
    text = told(one)
    assert "Restated to revision 2 at 2026-03-04 06:00 because of landed file late.csv" in text
    assert "oee 50.00 % -> 66.67 %, good_count 30 -> 40" in text


def test_what_people_typed_is_shown_and_never_run() -> None:
    nasty = "[red]no[/red] \x1b[31m | =1+1\nnext"
    reasons = entries(entry(30, 40, reason_code="MATL_A", note=nasty))
    said = states((30, "running"), (10, "idle"), (20, "running"))
    text = as_text(explained(floor.plant(), said, PLANNED, events(), reasons=reasons)[0], width=400)
    assert "[red]no[/red]" in text
    assert "\x1b" not in text


class TestClocks:
    def test_the_hour_that_occurs_twice_is_two_hours(self) -> None:
        plant = floor.plant(timezone="America/Chicago")
        # The production day of Saturday 31 October 2026 has 25 hours: 01:00 to 02:00 twice.
        start, end = production_day(plant, dt.date(2026, 10, 31))
        found = explained(
            plant,
            state_spans([(start, end, "running", None)]),
            plan_rows(plant, plant.machines[0], start, end),
            events(),
            start=start,
            end=end,
        )
        assert len(found) == 25
        heads = [head for one in found if ", 01:00 " in (head := as_text(one).splitlines()[0])]
        assert [head.split(", ", 2)[2] for head in heads] == [
            "Sunday, 1 November 2026, 01:00 CDT to 01:00 CST (CDT, UTC-05:00)",
            "Sunday, 1 November 2026, 01:00 to 02:00 (CST, UTC-06:00)",
        ]

    def test_a_boundary_at_half_past_has_hours_at_half_past(self) -> None:
        plant = floor.plant(day_boundary="06:30")
        start, end = production_day(plant, dt.date(2026, 3, 2))
        plan = plan_rows(plant, plant.machines[0], start, end)
        one = explained(plant, state_spans([(start, end, "running", None)]), plan, events(), start=start, end=end)[3]
        assert "09:30 to 10:30" in as_text(one).splitlines()[0]
        assert one.figures.buckets_us["running"] == 3_600_000_000

    def test_an_hour_that_still_runs_says_how_far_it_is_told(self) -> None:
        one = explained(floor.plant(), states((25, "running")), PLANNED, events((10, 4)))[0]
        assert "Told until 06:25:00 so far" in as_text(one)
        assert one.verdict is None

    def test_an_hour_in_which_the_production_date_changes_is_told_in_parts(self) -> None:
        plan = calendar((15, "planned", "Shift 3", floor.DAY - dt.timedelta(days=1)), (465, "planned"))
        first, second = explained(floor.plant(), states((60, "running")), plan, events((10, 15), (30, 45)))[:2]
        assert [str(one.production_date) for one in (first, second)] == ["2026-03-01", "2026-03-02"]
        assert (first.figures.oee, second.figures.oee) == (1, 1)
        assert "Less than an hour" in as_text(first)


def test_the_other_conventions_are_told_in_words_and_in_the_formula() -> None:
    plant = floor.plant(convention={"planned_stops": "availability_loss", "changeover": "excluded",
                                    "unknown": "availability_loss", "rework_is_good": True})  # fmt: skip
    said = states((10, "unknown"), (20, "setup"), (30, "running"))
    one = explained(plant, said, PLANNED, events((45, 10), (50, 0, 0, 5)))[0]
    # 10 min unknown + 30 min run are planned; changeover is not. Rework is good: all 15 parts at 60 s.
    assert one.figures.planned_time_us == 2_400_000_000
    assert one.figures.oee == Fraction(900, 2400)
    text = told(one)
    assert "Changeover is outside planned time." in text
    assert "Reworked parts are good." in text
    assert "OEE = ideal time of good + rework parts / planned time = 900 s / 2,400 s = 37.50 %" in text
    assert one.verdict is None


def test_rounding_is_as_on_paper() -> None:
    # 41.58 of 48 planned minutes are 86.625 %: half is rounded up, in the formula and in the head.
    said = states((41.58, "running"), (6.42, "fault"))
    one = explained(floor.plant(), said, PLANNED, events())[0]
    assert one.figures.availability == Fraction(86625, 100000)
    assert "= 86.63 %" in as_text(one)
    assert "(availability 86.63 %," in as_text(one)


def test_nothing_of_a_machine_is_lost_between_hours() -> None:
    said = states((50, "running"), (30, "fault"), (100, "running"), (300, "setup"))
    made = events(*((minute, 1) for minute in range(5, 175, 7)))
    found = explained(floor.plant(), said, PLANNED, made)
    spans = [(interval.starts_at, interval.ends_at) for one in found for interval in one.intervals]
    assert all(end == begin for (_, end), (begin, _) in pairwise(spans))
    assert sum(len(one.counts) for one in found) == len(made)
    assert not [one for one in found if one.verdict]
    assert pd.Timestamp(spans[0][0]) == pd.Timestamp(at(0))
