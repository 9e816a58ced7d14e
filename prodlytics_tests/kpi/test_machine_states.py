"""States without a gap: by hand, against a second-by-second oracle, day by day, and on the real SME machine."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from collections import defaultdict
from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from prodlytics.plant.model import Plant
from prodlytics_tests.kpi.feed import (
    AS_OF,
    at,
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


def test_times_are_microseconds_in_utc() -> None:
    rows = states(_plant(), _state((0.000001, 1)), (0, 60)).rows
    assert rows["starts_at"].tolist() == [at(0), at(0.000001)]
    assert str(rows["starts_at"].dtype) == "datetime64[us, UTC]"
