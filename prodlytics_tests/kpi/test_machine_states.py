"""States without a gap: by hand, against a second-by-second oracle, day by day, and on the real SME machine."""

from __future__ import annotations

import csv
import datetime as dt
import itertools
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodlytics.kpi.machine_states import derive_machine_states
from prodlytics.plant.model import Plant
from prodlytics_tests.kpi.feed import (
    AS_OF,
    at,
    entries_of,
    heard,
    plant_of,
    seconds,
    spans_of,
    states,
    together,
    told,
)

MAP = {"1": "running", "2": "idle", "3": "fault", "4": "setup", "READY": "idle", "ACTIVE": "running"}


def _plant(**more: Any) -> Plant:
    return plant_of(state={"metric": "State", "map": MAP}, **more)


def _state(*rows: tuple[float, Any], quality: int = 192) -> pd.DataFrame:
    return heard("State", rows, quality)


class TestController:
    def test_each_state_holds_until_the_next(self) -> None:
        derived = states(_plant(), _state((0, 1), (100, 2), (160, 1)), (0, 300))
        assert told(derived) == [(0, 100, "running"), (100, 160, "idle"), (160, 300, "running")]
        assert derived.rows["native_state"].tolist() == ["1", "2", "1"]
        assert (derived.rows["as_of"] == AS_OF).all()
        assert not derived.rows["is_open"].any()

    def test_equal_neighbours_are_one(self) -> None:
        assert told(states(_plant(), _state((0, 1), (60, 1.0), (120, 1)), (0, 300))) == [(0, 300, "running")]

    def test_before_the_first_sample_it_is_unknown(self) -> None:
        assert told(states(_plant(), _state((100, 1)), (0, 300))) == [(0, 100, "unknown"), (100, 300, "running")]

    def test_without_any_sample_it_is_unknown(self) -> None:
        derived = states(_plant(), together(), (0, 300))
        assert told(derived) == [(0, 300, "unknown")]
        assert derived.rows["native_state"].tolist() == [None]

    def test_a_state_carried_in_keeps_its_true_start(self) -> None:
        rows = states(_plant(), _state((-90_000, 1), (-86_000, 2), (-40_000, 2), (100, 1)), (0, 300)).rows
        assert rows["state"].tolist() == ["idle", "running"]
        assert seconds(rows["starts_at"]) == [0, 100]
        assert seconds(rows["state_started_at"]) == [-86_000, 100]

    def test_text_states(self) -> None:
        derived = states(_plant(), _state((0, "READY"), (50, "ACTIVE")), (0, 100))
        assert told(derived) == [(0, 50, "idle"), (50, 100, "running")]
        assert derived.rows["native_state"].tolist() == ["READY", "ACTIVE"]

    def test_bad_quality_is_unknown_until_a_good_sample(self) -> None:
        samples = together(_state((0, 1), (200, 1)), _state((100, 1), quality=0), _state((150, 1), quality=64))
        assert told(states(_plant(), samples, (0, 300))) == [
            (0, 100, "running"),
            (100, 200, "unknown"),
            (200, 300, "running"),
        ]

    def test_a_sample_without_a_value_is_unknown(self) -> None:
        assert told(states(_plant(), _state((0, 1), (100, None)), (0, 300))) == [
            (0, 100, "running"),
            (100, 300, "unknown"),
        ]

    def test_an_unmapped_value_is_unknown_and_refused_once(self) -> None:
        derived = states(_plant(), _state((0, 1), (10, 9), (20, 1), (30, 9), (40, 1)), (0, 50))
        assert told(derived) == [
            (0, 10, "running"),
            (10, 20, "unknown"),
            (20, 30, "running"),
            (30, 40, "unknown"),
            (40, 50, "running"),
        ]
        assert derived.rows["native_state"].tolist() == ["1", "9", "1", "9", "1"]
        assert seconds(derived.quarantined["event_time"]) == [10]
        assert derived.quarantined["reason"].tolist() == ["unmapped_state"]
        assert "State said '9'" in derived.quarantined["detail"][0]

    def test_an_unmapped_value_from_before_the_window_was_refused_then(self) -> None:
        assert states(_plant(), _state((-10, 9)), (0, 50)).quarantined.empty

    def test_flapping_loses_no_time(self) -> None:
        flaps = [(number * 0.25, 1 + number % 2) for number in range(400)]
        rows = states(_plant(), _state(*flaps), (0, 100)).rows
        assert len(rows) == 400
        length = (rows["ends_at"] - rows["starts_at"]).groupby(rows["state"]).sum()
        assert length.to_dict() == {"running": dt.timedelta(seconds=50), "idle": dt.timedelta(seconds=50)}

    def test_the_running_day_is_open(self) -> None:
        rows = states(_plant(), _state((0, 1), (100, 2)), (0, 86_400), until=250).rows
        assert seconds(rows["ends_at"]) == [100, 250]
        assert rows["is_open"].tolist() == [False, True]

    def test_nothing_to_tell_yet(self) -> None:
        assert states(_plant(), _state((0, 1)), (500, 86_900), until=500).rows.empty

    def test_any_order_of_tags_at_one_instant(self) -> None:
        state, fault = _state((0, 3), (60, 1)), heard("Fault", [(0, 17), (60, 0)])
        for samples in (together(state, fault), together(fault, state)):
            rows = states(_plant(fault_metric="Fault"), samples, (0, 100)).rows
            assert rows["fault_code"].tolist() == ["17", None]


class TestSilence:
    def test_a_silent_feed_is_unknown_from_the_last_thing_heard(self) -> None:
        derived = states(_plant(), _state((0, 1), (600, 2)), (0, 1000), gaps=spans_of([(100, 600)]))
        assert told(derived) == [(0, 100, "running"), (100, 600, "unknown"), (600, 1000, "idle")]

    def test_a_silent_tag_is_not_a_silent_feed(self) -> None:
        assert told(states(_plant(), _state((0, 1)), (0, 86_400))) == [(0, 86_400, "running")]

    def test_still_silent(self) -> None:
        derived = states(_plant(), _state((0, 1)), (0, 1000), until=900, gaps=spans_of([(100, None)]))
        assert told(derived) == [(0, 100, "running"), (100, 900, "unknown")]
        assert derived.rows["is_open"].tolist() == [False, True]

    def test_silence_carried_in_keeps_its_start(self) -> None:
        rows = states(_plant(), _state((-500, 1)), (0, 1000), gaps=spans_of([(-400, 200)])).rows
        assert rows["state"].tolist() == ["unknown", "running"]
        assert seconds(rows["state_started_at"]) == [-400, 200]

    def test_afterwards_what_was_said_last_holds_and_begins_anew(self) -> None:
        rows = states(_plant(), _state((-500, 1), (900, 1)), (0, 1000), gaps=spans_of([(-400, -100)])).rows
        assert rows["state"].tolist() == ["running"]
        assert seconds(rows["state_started_at"]) == [-100]


class TestFaultCodes:
    def _faults(self, *codes: tuple[float, float], window: tuple[float, float] = (0, 300)) -> list[Any]:
        samples = together(_state((-50, 1), (100, 3), (200, 1)), heard("Fault", codes))
        rows = states(_plant(fault_metric="Fault"), samples, window).rows
        fault = rows[rows["state"] == "fault"]
        assert rows.loc[rows["state"] != "fault", "fault_code"].isna().all()
        return list(zip(seconds(fault["starts_at"]), fault["fault_code"], strict=True))

    def test_with_the_state(self) -> None:
        assert self._faults((0, 0), (100, 17), (200, 0)) == [(100, "17")]

    def test_shortly_after_the_state(self) -> None:
        assert self._faults((0, 0), (102, 17), (200, 0)) == [(100, "17")]

    def test_shown_since_before_the_state(self) -> None:
        assert self._faults((95, 17), (200, 0)) == [(100, "17")]

    def test_cleared_before_the_state_ends(self) -> None:
        assert self._faults((100, 17), (150, 0)) == [(100, "17")]

    def test_cleared_before_the_state_begins(self) -> None:
        assert self._faults((80, 17), (90, 0)) == [(100, None)]

    def test_another_code_is_another_row(self) -> None:
        assert self._faults((100, 17), (150, 21)) == [(100, "17"), (150, "21")]

    def test_no_code(self) -> None:
        assert self._faults((0, 0)) == [(100, None)]

    def test_shown_only_after_the_window_ends(self) -> None:
        assert self._faults((0, 0), (152, 17), window=(0, 150)) == [(100, "17")]

    def test_a_code_that_belongs_to_the_next_fault(self) -> None:
        assert self._faults((0, 0), (202, 17)) == [(100, None)]


class TestDurations:
    """A row at 12:05 that says "60 seconds" speaks of 12:04 to 12:05."""

    def _plant(self) -> Plant:
        return plant_of(state={"metric": "State", "map": MAP, "duration_metric": "Held"}, silence_after_s=None)

    def _rows(self, *rows: tuple[float, float, float | None], quality: int = 192) -> pd.DataFrame:
        return together(
            _state(*((second, state) for second, state, _ in rows), quality=quality),
            heard("Held", [(second, held) for second, _, held in rows], quality),
        )

    def test_the_state_ends_when_it_is_reported(self) -> None:
        derived = states(self._plant(), self._rows((300, 1, 60), (600, 2, 60)), (0, 600))
        assert told(derived) == [
            (0, 240, "unknown"),
            (240, 300, "running"),
            (300, 540, "unknown"),
            (540, 600, "idle"),
        ]

    def test_rows_that_meet_are_one_state(self) -> None:
        assert told(states(self._plant(), self._rows((300, 1, 300), (600, 1, 300)), (0, 600))) == [(0, 600, "running")]

    def test_what_is_reported_later_holds(self) -> None:
        derived = states(self._plant(), self._rows((300, 1, 300), (600, 2, 350)), (0, 600))
        assert told(derived) == [(0, 250, "running"), (250, 600, "idle")]

    def test_a_later_row_may_swallow_several(self) -> None:
        derived = states(self._plant(), self._rows((100, 1, 50), (200, 2, 50), (300, 3, 280)), (0, 300))
        assert told(derived) == [(0, 20, "unknown"), (20, 300, "fault")]

    def test_a_row_after_the_window_reaches_into_it(self) -> None:
        assert told(states(self._plant(), self._rows((610, 1, 60)), (0, 600))) == [
            (0, 550, "unknown"),
            (550, 600, "running"),
        ]

    @pytest.mark.parametrize("held", [0, -5, None])
    def test_no_time_says_nothing(self, held: float | None) -> None:
        assert told(states(self._plant(), self._rows((300, 1, held)), (0, 600))) == [(0, 600, "unknown")]

    def test_bad_quality_says_nothing(self) -> None:
        assert told(states(self._plant(), self._rows((300, 1, 60), quality=0), (0, 600))) == [(0, 600, "unknown")]

    def test_a_source_that_speaks_of_its_own_time_is_not_silenced(self) -> None:
        derived = states(self._plant(), self._rows((300, 1, 300)), (0, 300), gaps=spans_of([(0, 300)]))
        assert told(derived) == [(0, 300, "running")]


class TestCounts:
    """A machine that only counts; ideal cycle 20 s, so a pause counts from 120 s on."""

    def _told(self, *readings: tuple[float, float], window: tuple[float, float], **machine: Any) -> list[Any]:
        plant = plant_of(
            state={"source": "counts"},
            counters=[{"metric": "Count", "counts": "good"}],
            **{"ideal_cycle_time_ms": 20_000, **machine},
        )
        return told(states(plant, heard("Count", readings), window))

    def test_running_while_counts_arrive(self) -> None:
        assert self._told((0, 0), (20, 1), (40, 2), (120, 3), window=(0, 200)) == [(0, 200, "running")]

    def test_idle_from_the_last_count_until_the_next_part_was_begun(self) -> None:
        assert self._told((0, 0), (20, 1), (40, 2), (640, 3), (660, 4), window=(0, 700)) == [
            (0, 40, "running"),
            (40, 620, "idle"),
            (620, 700, "running"),
        ]

    def test_several_parts_took_several_cycles(self) -> None:
        assert self._told((0, 0), (20, 1), (620, 11), window=(0, 620)) == [
            (0, 20, "running"),
            (20, 420, "idle"),
            (420, 620, "running"),
        ]

    def test_idle_when_no_count_follows(self) -> None:
        assert self._told((0, 0), (20, 1), (60, 1), window=(0, 1000)) == [(0, 20, "running"), (20, 1000, "idle")]

    def test_a_slow_machine_is_given_three_cycles(self) -> None:
        readings = [(0, 0), (100, 1), (390, 2)]
        slow = {"ideal_cycle_time_ms": 100_000}
        assert self._told(*readings, window=(0, 390), **slow) == [(0, 390, "running")]
        slow = {"ideal_cycle_time_ms": 90_000}
        assert self._told(*readings, window=(0, 390), **slow)[1] == (100, 300, "idle")

    def test_unknown_before_the_first_reading(self) -> None:
        assert self._told((50, 7), (60, 8), window=(0, 70)) == [(0, 50, "unknown"), (50, 70, "running")]

    def test_without_an_ideal_cycle_the_micro_stop_threshold_decides(self) -> None:
        readings = [(0, 0), (100, 1), (300, 2)]
        assert self._told(*readings, window=(0, 300), ideal_cycle_time_ms=None) == [
            (0, 100, "running"),
            (100, 300, "idle"),
        ]

    def test_a_silent_feed_is_unknown(self) -> None:
        plant = plant_of(state={"source": "counts"}, counters=[{"metric": "Count", "counts": "good"}])
        derived = states(plant, heard("Count", [(0, 0), (20, 1), (620, 9)]), (0, 620), gaps=spans_of([(20, 620)]))
        assert told(derived) == [(0, 20, "running"), (20, 620, "unknown")]


class TestBookings:
    PLANT = plant_of(state={"source": "operator"})

    def _told(self, *entries: tuple[str, float, float | None], window: tuple[float, float] = (0, 1000)) -> list[Any]:
        rows = [{"kind": kind, "starts_at": start, "ends_at": end} for kind, start, end in entries]
        return told(states(self.PLANT, together(), window, entries=entries_of(rows)))

    def test_running_while_anyone_booked(self) -> None:
        assert self._told(("production", 100, 300), ("production", 200, 500), ("production", 250, 260)) == [
            (0, 100, "unknown"),
            (100, 500, "running"),
            (500, 1000, "unknown"),
        ]

    def test_idle_where_someone_gave_a_reason_but_nobody_booked(self) -> None:
        assert self._told(("production", 100, 300), ("reason", 250, 400)) == [
            (0, 100, "unknown"),
            (100, 300, "running"),
            (300, 400, "idle"),
            (400, 1000, "unknown"),
        ]

    def test_a_booking_without_length_says_nothing(self) -> None:
        assert self._told(("production", 100, None), ("production", 200, 200)) == [(0, 1000, "unknown")]

    def test_a_booking_that_began_before_keeps_its_start(self) -> None:
        entries = entries_of([{"starts_at": -50, "ends_at": 100}])
        rows = states(self.PLANT, together(), (0, 100), entries=entries).rows
        assert seconds(rows["state_started_at"]) == [-50]


def _history(seed: int) -> tuple[pd.DataFrame, list[tuple[float, float]]]:
    """Whole seconds of a machine: states, repeats, bad and unknown words, fault codes, silences."""
    chance = random.Random(seed)
    rows: dict[tuple[str, int], list[tuple[float, Any]]] = defaultdict(list)
    gaps, second = [], -600
    while second < 4000:
        rows["State", chance.choice([192, 192, 192, 192, 0])].append((second, chance.choice([1, 1, 2, 3, 3, 9])))
        if chance.random() < 0.5:
            rows["Fault", 192].append((second + chance.randint(0, 5), chance.choice([0, 17, 21])))
        pause = chance.choice([1, 7, 30, 60, 400])
        if pause > 300:
            gaps.append((second + 10, second + pause))
        second += pause
    faults = dict(rows.pop(("Fault", 192), []))
    return together(*(heard(n, r, q) for (n, q), r in rows.items()), heard("Fault", sorted(faults.items()))), gaps


def _second_by_second(samples: pd.DataFrame, gaps: list[tuple[float, float]], until: int) -> list[str]:
    """The state of every second, looked up afresh for each."""
    heard_states = [
        (second, value if quality >= 192 else None)
        for second, metric, value, quality in zip(
            seconds(samples["time"]), samples["metric_name"], samples["value"], samples["quality"], strict=True
        )
        if metric == "State"
    ]
    out = []
    for second in range(until):
        said = [value for moment, value in heard_states if moment <= second][-1:]
        silent = any(start <= second < end for start, end in gaps)
        known = said and said[0] is not None and not silent
        out.append(MAP.get(str(int(said[0])), "unknown") if known else "unknown")
    return out


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_every_second_has_the_state_that_was_said_last(seed: int) -> None:
    samples, gaps = _history(seed)
    derived = states(_plant(fault_metric="Fault"), samples, (0, 4000), gaps=spans_of(gaps))
    rows = told(derived)
    # Gapless, in order, nothing twice, neighbours differ.
    assert (rows[0][0], rows[-1][1]) == (0, 4000)
    for (_, end, _), (start, _, _) in itertools.pairwise(rows):
        assert end == start
    assert [state for start, end, state in rows for _ in range(int(start), int(end))] == _second_by_second(
        samples, gaps, 4000
    )
    named = derived.rows[["state", "native_state", "fault_code"]].astype(str).to_numpy().tolist()
    assert all(a != b for a, b in itertools.pairwise(named))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), size=st.sampled_from([500, 1000]))
def test_window_by_window_equals_the_whole(seed: int, size: int) -> None:
    samples, gaps = _history(seed)
    plant, silences = _plant(fault_metric="Fault"), spans_of(gaps)
    whole = states(plant, samples, (0, 4000), gaps=silences).rows
    pieces = [states(plant, samples, (start, start + size), gaps=silences).rows for start in range(0, 4000, size)]
    pd.testing.assert_frame_equal(_merged(pd.concat(pieces, ignore_index=True)), whole)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), order=st.integers(0, 2**31))
def test_any_order_of_arrival_gives_the_same(seed: int, order: int) -> None:
    samples, gaps = _history(seed)
    shuffled = samples.sample(frac=1, random_state=order).sort_values("time", kind="stable")
    results = [states(_plant(fault_metric="Fault"), one, (0, 4000), gaps=spans_of(gaps)) for one in (samples, shuffled)]
    pd.testing.assert_frame_equal(results[0].rows, results[1].rows)


def _merged(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows that were cut at the edge of a window put together again."""
    groups: list[Any] = []
    for row in rows.itertuples(index=False):
        alike = groups and (
            (groups[-1].state, groups[-1].native_state, groups[-1].fault_code, groups[-1].state_started_at)
            == (row.state, row.native_state, row.fault_code, row.state_started_at)
        )
        if alike:
            groups[-1] = groups[-1]._replace(ends_at=row.ends_at)
        else:
            groups.append(row)
    return pd.DataFrame(groups).astype(rows.dtypes)


def test_sme_machine_has_the_hours_its_rows_say(shared_data: Path) -> None:
    """Each row says how many seconds its status was held, up to its time; the rest nobody knows."""
    with (shared_data / "sme" / "asset_1.csv").open(newline="") as file:
        rows = [
            (dt.datetime.fromisoformat(row["ts"]), row["status"], float(row["status_time"]))
            for row in csv.DictReader(file)
        ]
    names = {"1": "setup", "2": "running", "3": "fault"}
    plant = plant_of(state={"metric": "status", "map": names, "duration_metric": "status_time"}, silence_after_s=None)
    samples = pd.concat(
        [
            _sme("status", [(ts, float(status)) for ts, status, _ in rows]),
            _sme("status_time", [(r[0], r[2]) for r in rows]),
        ]
    ).sort_values("time", kind="stable")
    start = dt.datetime(2022, 8, 31, tzinfo=dt.UTC)
    days = [(start + dt.timedelta(days=n), start + dt.timedelta(days=n + 1)) for n in range(22)]

    nothing = (spans_of([]), entries_of([]))
    for begin, end in days:
        derived = derive_machine_states(plant, plant.machine("M1"), samples, *nothing, begin, end, end, AS_OF).rows
        found = (derived["ends_at"] - derived["starts_at"]).groupby(derived["state"]).sum()
        expected: dict[str, dt.timedelta] = defaultdict(dt.timedelta)
        # No row's seconds reach back over the row before (true of this file), so they simply add up.
        for ts, status, held in rows:
            inside = min(ts, end) - max(ts - dt.timedelta(seconds=held), begin)
            expected[names[str(int(float(status)))]] += max(inside, dt.timedelta())
        expected["unknown"] = dt.timedelta(days=1) - sum(expected.values(), dt.timedelta())
        assert {k: v.to_pytimedelta() for k, v in found.items()} == {k: v for k, v in expected.items() if v}


def _sme(metric: str, readings: list[tuple[dt.datetime, float]]) -> pd.DataFrame:
    frame = heard(metric, [(0, value) for _, value in readings])
    frame["time"] = pd.DatetimeIndex([time for time, _ in readings]).as_unit("us")
    return frame


def test_times_are_microseconds_in_utc() -> None:
    rows = states(_plant(), _state((0.000001, 1)), (0, 60)).rows
    assert rows["starts_at"].tolist() == [at(0), at(0.000001)]
    assert str(rows["starts_at"].dtype) == "datetime64[us, UTC]"
