"""Samples and bookings to events, by hand, against a simulated machine, and day by day."""

from __future__ import annotations

import random
from collections import defaultdict
from functools import cache
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodlytics.kpi.counters import REACH
from prodlytics.kpi.production_events import derive_production_events
from prodlytics_tests.kpi.feed import (
    AS_OF,
    at,
    counted,
    counter_plant,
    entries_of,
    events,
    heard,
    orders_of,
    plant_of,
    seconds,
    spans_of,
    together,
)

MINUTE = 60


def _readings(values: list[float], every_s: float = MINUTE) -> pd.DataFrame:
    return heard("Count", [(number * every_s, value) for number, value in enumerate(values)])


class TestOneCounter:
    def test_each_part_is_dated_by_the_reading_that_showed_it(self) -> None:
        rows = events(counter_plant(20), _readings([10, 10, 12, 13])).rows
        assert rows["good_count"].tolist() == [2, 1]
        assert seconds(rows["time"]) == [120, 180]
        assert seconds(rows["since"]) == [60, 120]
        assert rows["event_type"].tolist() == ["cycle_complete"] * 2
        assert rows["event_key"].tolist() == ["Count"] * 2
        assert rows["flag"].tolist() == [None, None]
        assert (rows["as_of"] == AS_OF).all()

    @pytest.mark.parametrize(
        ("bits", "signed", "values", "parts", "flag"),
        [
            (16, False, [65530, 12], 18, "rollover"),
            (32, True, [2147483640, -2147483645], 11, "rollover"),
            (16, False, [4523, 7], 7, "reset"),
            (16, False, [4523, 4520, 4524], 1, None),
        ],
    )
    def test_reference_cases(
        self, bits: int, signed: bool, values: list[float], parts: float, flag: str | None
    ) -> None:
        derived = events(counter_plant(1, width_bits=bits, signed=signed), _readings(values))
        assert [row[2:] for row in counted(derived)] == [(parts, flag)]
        assert derived.quarantined.empty

    def test_the_first_reading_makes_no_parts(self) -> None:
        assert events(counter_plant(20), _readings([4523])).rows.empty

    def test_more_than_plausible_is_refused_with_a_sentence(self) -> None:
        refused = events(counter_plant(12), _readings([100, 108, 109])).quarantined
        assert refused["reason"].tolist() == ["implausible_count"]
        assert refused["detail"][0].startswith("Count showed 108 after 100: more than the machine can make")
        assert refused["machine_id"].tolist() == ["M1"]
        assert refused["payload"].tolist() == ['{"metric": "Count", "value": 108.0, "value_before": 100.0}']
        assert seconds(refused["event_time"]) == [60]

    def test_its_own_limit_comes_before_the_ideal_cycle(self) -> None:
        plant = plant_of(
            counters=[{"metric": "Count", "counts": "good"}], ideal_cycle_time_ms=12_000, max_parts_per_s=4
        )
        # Four cavities open every 40 s; a reading a tenth of a second later shows all four.
        readings = heard("Count", [(0, 0), (39.9, 0), (40.0, 4), (80.0, 8)])
        assert [row[2] for row in counted(events(plant, readings))] == [4, 4]

    def test_the_limit_is_that_of_the_day(self) -> None:
        ideal = [{"since": "2026-01-01", "value": 60_000}, {"since": "2026-03-02", "value": 10_000}]
        plant = plant_of(counters=[{"metric": "Count", "counts": "good"}], ideal_cycle_time_ms=ideal)
        before, after = [(-120.0, 0), (-60.0, 5)], [(0.0, 10), (60.0, 15)]
        derived = events(plant, heard("Count", before + after))
        assert [row[2] for row in counted(derived)] == [5, 5]
        assert seconds(derived.quarantined["event_time"]) == [-60]

    def test_the_quickest_part_decides_what_is_plausible(self) -> None:
        part = {"number": "P", "name": "P", "ideal_cycle_time_ms": {"M1": 5_000}}
        plant = plant_of([part], counters=[{"metric": "Count", "counts": "good"}], ideal_cycle_time_ms=60_000)
        assert [row[2] for row in counted(events(plant, _readings([0, 18])))] == [18]

    def test_values_the_counter_cannot_have_point_to_the_plant_file(self) -> None:
        derived = events(counter_plant(1, width_bits=16), _readings([30000, -6, 30010]))
        assert [row[2] for row in counted(derived)] == [10]
        assert derived.quarantined["reason"].tolist() == ["outside_counter_range"]
        assert "width_bits and signed" in derived.quarantined["detail"][0]

    def test_a_wrong_width_is_told_once_not_for_every_reading(self) -> None:
        plant, readings = counter_plant(1, width_bits=8), _readings([250, 255, *range(256, 300), 0, 300])
        assert seconds(events(plant, readings).quarantined["event_time"]) == [2 * MINUTE, 47 * MINUTE]
        assert events(plant, readings, window=(10 * MINUTE, 40 * MINUTE)).quarantined.empty

    def test_set_back_is_told_only_when_no_late_reading_can_explain_it(self) -> None:
        low = [4523, 4000, 4000, 4000, 4000, 4000]
        assert events(counter_plant(12), _readings(low)).quarantined.empty
        refused = events(counter_plant(12), _readings([*low, 4000])).quarantined
        assert refused["reason"].tolist() == ["counter_set_back"]

    def test_rework_and_reject_counters_make_their_own_events(self) -> None:
        for counts in ("reject", "rework"):
            rows = events(counter_plant(20, counts), _readings([0, 2])).rows
            assert rows["event_type"].tolist() == [counts]
            assert rows[f"{counts}_count"].tolist() == [2]
            assert rows["good_count"].tolist() == [0]

    def test_cycles_are_not_parts(self) -> None:
        assert events(counter_plant(20, "cycles"), _readings([0, 2, 4])).rows.empty

    def test_increments(self) -> None:
        plant = counter_plant(None, kind="increment")
        derived = events(plant, _readings([8, 0, 9, -3]))
        assert [row[2] for row in counted(derived)] == [8, 9]
        assert derived.quarantined["reason"].tolist() == ["negative_count"]

    def test_times_without_a_zone_are_refused(self) -> None:
        readings = _readings([1, 2])
        readings["time"] = readings["time"].dt.tz_localize(None)
        with pytest.raises(ValueError, match="zone"):
            events(counter_plant(20), readings)


class TestQualityAndSilence:
    def test_a_bad_zero_is_not_a_reading(self) -> None:
        readings = together(heard("Count", [(0, 100), (120, 103)]), heard("Count", [(60, 0)], quality=0))
        assert counted(events(counter_plant(20), readings)) == [(120, "cycle_complete", 3, None)]

    def test_uncertain_is_not_good(self) -> None:
        readings = together(heard("Count", [(0, 100), (120, 103)]), heard("Count", [(60, 101)], quality=64))
        assert [row[0] for row in counted(events(counter_plant(20), readings))] == [120]

    def test_text_in_a_counter_is_not_a_reading(self) -> None:
        readings = together(heard("Count", [(0, 100), (120, 103)]), heard("Count", [(60, "UNAVAILABLE")]))
        assert [row[2] for row in counted(events(counter_plant(20), readings))] == [3]

    def test_parts_counted_across_a_silence_are_an_estimate(self) -> None:
        readings = heard("Count", [(0, 0), (60, 1), (1260, 30), (1320, 31)])
        derived = events(counter_plant(20), readings, gaps=spans_of([(60, 1200)]))
        assert [row[2:] for row in counted(derived)] == [(1, None), (29, "estimated"), (1, None)]
        assert seconds(derived.rows["since"]) == [0, 60, 1260]

    def test_a_silent_counter_of_a_machine_that_is_heard_is_no_gap(self) -> None:
        readings = heard("Count", [(0, 0), (7200, 1)])
        assert [row[3] for row in counted(events(counter_plant(20), readings))] == [None]

    def test_without_known_silences_the_tags_at_hand_decide(self) -> None:
        plant = counter_plant(20)
        alone = heard("Count", [(0, 0), (60, 1), (1260, 30)])
        beside = heard("Other", [(second, 1) for second in range(0, 1300, 100)])
        for readings, flag in ((alone, "estimated"), (together(alone, beside), None)):
            derived = derive_production_events(
                plant, plant.machine("M1"), readings, orders_of([]), entries_of([]), at(0), at(9999), AS_OF
            )
            assert [row[3] for row in counted(derived)] == [None, flag]

    def test_a_source_that_reports_its_own_loss(self) -> None:
        plant = plant_of(counters=[{"metric": "Count", "counts": "good"}], silence_after_s=None)
        readings = together(heard("Count", [(0, 0), (600, 5), (90_000, 9)]), heard("Count", [(300, "UNAVAILABLE")]))
        assert [row[2:] for row in counted(events(plant, readings))] == [(5, "estimated"), (4, None)]

    def test_a_gap_that_is_still_open_says_nothing_about_before(self) -> None:
        readings = heard("Count", [(0, 0), (60, 1)])
        assert [row[3] for row in counted(events(counter_plant(20), readings, gaps=spans_of([(60, None)])))] == [None]


class TestSeveralCounters:
    def _plant(self, *counts: str, **machine: Any) -> Any:
        return plant_of(counters=[{"metric": name, "counts": name} for name in counts], **machine)

    def _parts(self, derived: Any) -> dict[str, float]:
        return {name: derived.rows[f"{name}_count"].sum() for name in ("good", "reject", "rework")}

    def test_good_is_total_less_reject_and_rework(self) -> None:
        samples = together(
            heard("total", [(0, 0), (60, 3), (120, 6), (180, 9)]),
            heard("reject", [(0, 0), (120, 1)]),
            heard("rework", [(0, 0), (180, 2)]),
        )
        derived = events(self._plant("total", "reject", "rework"), samples)
        assert self._parts(derived) == {"good": 6, "reject": 1, "rework": 2}
        good = derived.rows[derived.rows["event_type"] == "cycle_complete"]
        assert good["good_count"].tolist() == [3, 2, 1]
        assert good["event_key"].tolist() == ["total"] * 3

    def test_a_part_judged_after_it_was_counted_is_taken_from_where_it_was_counted(self) -> None:
        samples = together(
            heard("total", [(0, 0), (60, 1), (120, 1), (180, 1), (3600, 2)]), heard("reject", [(0, 0), (130, 1)])
        )
        derived = events(self._plant("total", "reject"), samples)
        assert counted(derived) == [(130, "reject", 1, None), (3600, "cycle_complete", 1, None)]

    def test_more_rejects_than_parts_is_told(self) -> None:
        samples = together(heard("total", [(0, 0), (60, 1)]), heard("reject", [(0, 0), (60, 3)]))
        derived = events(self._plant("total", "reject"), samples)
        assert self._parts(derived) == {"good": 0, "reject": 3, "rework": 0}
        assert derived.quarantined["reason"].tolist() == ["counted_but_not_made"]
        assert "2 parts" in derived.quarantined["detail"][0]

    def test_rejects_are_total_less_good_where_only_those_are_counted(self) -> None:
        samples = together(heard("total", [(0, 0), (60, 5)]), heard("good", [(0, 0), (60, 4)]))
        assert self._parts(events(self._plant("total", "good"), samples)) == {"good": 4, "reject": 1, "rework": 0}

    def test_total_beside_good_and_reject_makes_no_parts(self) -> None:
        samples = together(*(heard(name, [(0, 0), (60, 5)]) for name in ("total", "good", "reject", "cycles")))
        plant = self._plant("total", "good", "reject", "cycles")
        assert self._parts(events(plant, samples)) == {"good": 5, "reject": 5, "rework": 0}

    def test_total_alone_is_good(self) -> None:
        assert self._parts(events(self._plant("total"), heard("total", [(0, 0), (60, 5)])))["good"] == 5

    def test_cycle_time_is_the_last_one_measured_since_the_reading_before(self) -> None:
        samples = together(
            heard("good", [(0, 0), (60, 1), (120, 3), (180, 4)]), heard("Cycle", [(0, 1), (60, 12100), (119, 11900)])
        )
        rows = events(self._plant("good", cycle_time_metric="Cycle"), samples).rows
        assert rows["cycle_time_ms"].fillna(-1).tolist() == [12100, 11900, -1]


class TestOrders:
    def test_the_order_in_force_names_the_part(self) -> None:
        orders = orders_of([("WO1", "A", 0, 120), ("WO2", "B", 120, None)])
        rows = events(counter_plant(20), _readings([0, 1, 2, 3]), orders=orders).rows
        assert rows["work_order"].tolist() == ["WO1", "WO2", "WO2"]
        assert rows["part_number"].tolist() == ["A", "B", "B"]

    def test_of_two_orders_the_one_started_last_counts(self) -> None:
        orders = orders_of([("LONG", "A", -1000, 1000), ("SHORT", "B", 100, 130)])
        rows = events(counter_plant(20), _readings([0, 1, 2, 3]), orders=orders).rows
        assert rows["work_order"].tolist() == ["LONG", "SHORT", "LONG"]

    def test_without_an_order_the_part_is_unknown(self) -> None:
        rows = events(counter_plant(20), _readings([0, 1])).rows
        assert rows[["part_number", "work_order"]].to_numpy().tolist() == [[None, None]]


BOOKING = {
    "starts_at": 0,
    "ends_at": 3600,
    "quantity": 40,
    "reject_quantity": 2,
    "rework_quantity": 1,
    "work_order": "WO1",
    "part_number": "A",
    "entered_by": "ID4932",
}


class TestBookings:
    def test_quantities_count_when_the_booking_ends(self) -> None:
        plant = plant_of(state={"source": "operator"})
        rows = events(plant, together(), entries=entries_of([BOOKING])).rows
        assert rows["event_type"].tolist() == ["cycle_complete", "reject", "rework"]
        assert rows[["good_count", "reject_count", "rework_count"]].to_numpy().tolist() == [
            [40, 0, 0],
            [0, 2, 0],
            [0, 0, 1],
        ]
        assert (rows[["operator_id", "work_order", "part_number"]] == ["ID4932", "WO1", "A"]).all(axis=None)
        assert set(seconds(rows["time"])) == {3599.999999}, "half-open: an hour's booking is of that hour"
        assert set(seconds(rows["since"])) == {0}

    def test_only_the_window_in_which_it_ends_has_it(self) -> None:
        plant, entries = plant_of(state={"source": "operator"}), entries_of([BOOKING])
        assert len(events(plant, together(), entries=entries, window=(0, 3600)).rows) == 3
        assert events(plant, together(), entries=entries, window=(-3600, 3599)).rows.empty
        assert events(plant, together(), entries=entries, window=(3600, 7200)).rows.empty

    def test_beside_a_counter_bookings_make_no_parts(self) -> None:
        assert events(counter_plant(20), together(), entries=entries_of([BOOKING])).rows.empty

    def test_other_entries_are_not_bookings(self) -> None:
        entries = entries_of([{**BOOKING, "kind": "scrap"}])
        assert events(plant_of(state={"source": "operator"}), together(), entries=entries).rows.empty


def _machine_day(seed: int) -> tuple[Any, pd.DataFrame, pd.DataFrame]:
    """Twelve hours of a machine with everything, and where it was silent."""
    chance = random.Random(seed)
    plant = plant_of(
        counters=[
            {"metric": "Good", "counts": "good", "width_bits": 8},
            {"metric": "Reject", "counts": "reject"},
            {"metric": "Rework", "counts": "rework", "kind": "increment"},
        ],
        ideal_cycle_time_ms=20_000,
        fault_metric="Fault",
        alarm_metrics=["system"],
        cycle_time_metric="Cycle",
    )
    good, reject, second = 200, 0, 0.0
    gaps: list[tuple[float, float]] = []
    tags: dict[tuple[str, int, str], list[tuple[float, Any]]] = defaultdict(list)
    while second < 12 * 3600:
        pause = 2000.0 if chance.random() < 0.01 else chance.choice([15.0, 60.0, 60.5])
        if pause > 300:
            gaps.append((second, second + pause))
        second += pause
        good = 0 if chance.random() < 0.01 else (good + chance.randint(0, int(min(pause, 60) / 20) + 1)) % 256
        reject += chance.random() < 0.05
        quality = 0 if chance.random() < 0.05 else 192
        glitch = chance.random() < 0.01
        tags["Good", quality, ""].append((second, 250.0 if glitch else good))
        tags["Reject", quality, ""].append((second + 0.5, reject))
        tags["Cycle", 192, ""].append((second - 1, 20_000 + chance.randint(0, 99)))
        if chance.random() < 0.1:
            tags["Rework", 192, ""].append((second, chance.randint(0, 1)))
            tags["Fault", 192, ""].append((second, chance.choice([0, 17, 21])))
            said, code = chance.choice([("Normal", ""), ("Warning", "433"), ("Fault", "433")])
            tags["system", 192, code].append((second, said))
    return (
        plant,
        together(*(heard(name, rows, quality, code) for (name, quality, code), rows in tags.items())),
        (spans_of(gaps)),
    )


@pytest.fixture(scope="module", params=range(3))
def machine_day(request: pytest.FixtureRequest) -> tuple[Any, pd.DataFrame, pd.DataFrame]:
    return _machine_day(request.param)


def _with_context(samples: pd.DataFrame, window: tuple[float, float]) -> pd.DataFrame:
    """What a window is given: some good samples of each tag around it and the others between."""
    kept = []
    for _, tag in samples.groupby(["metric_name", "native_code"]):
        good = tag.loc[tag["quality"] >= 192, "time"]
        before, after = good[good < at(window[0])].tail(REACH), good[good >= at(window[1])].head(REACH)
        low, high = before.min() if len(before) else at(window[0]), after.max() if len(after) else at(window[1])
        kept.append(tag[(tag["time"] >= low) & (tag["time"] <= high)])
    return together(*kept)


def test_hour_by_hour_equals_the_whole(machine_day: tuple[Any, pd.DataFrame, pd.DataFrame]) -> None:
    plant, samples, gaps = machine_day
    whole = events(plant, samples, window=(0, 12 * 3600), gaps=gaps)
    windows = [(hour * 3600, (hour + 1) * 3600) for hour in range(12)]
    alone = [events(plant, _with_context(samples, window), window=window, gaps=gaps) for window in windows]
    assert len(whole.rows) > 200
    assert whole.rows["flag"].notna().sum() > 3
    pd.testing.assert_frame_equal(pd.concat([one.rows for one in alone], ignore_index=True), whole.rows)
    # The newest readings of a window are told only once others follow; here the context always has them.
    pd.testing.assert_frame_equal(pd.concat([one.quarantined for one in alone], ignore_index=True), whole.quarantined)


def test_each_event_has_its_own_key(machine_day: tuple[Any, pd.DataFrame, pd.DataFrame]) -> None:
    plant, samples, gaps = machine_day
    rows = events(plant, samples, gaps=gaps).rows
    assert not rows.duplicated(["machine_id", "time", "event_type", "event_key"]).any()
    assert rows["time"].is_monotonic_increasing


@settings(max_examples=20, deadline=None)
@given(order=st.randoms(use_true_random=False))
def test_any_order_of_arrival_gives_the_same(order: random.Random) -> None:
    plant, samples, gaps, expected = _arrived()
    shuffled = samples.sample(frac=1, random_state=order.randint(0, 2**31)).sort_values("time", kind="stable")
    pd.testing.assert_frame_equal(events(plant, shuffled, gaps=gaps).rows, expected)


@cache
def _arrived() -> tuple[Any, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    plant, samples, gaps = _machine_day(99)
    return plant, samples, gaps, events(plant, samples, gaps=gaps).rows
