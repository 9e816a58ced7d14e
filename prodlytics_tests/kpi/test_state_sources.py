"""What sources other than a plain controller tag say: durations, counts, bookings; and the real SME machine."""

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
from prodlytics_tests.kpi.feed import AS_OF, entries_of, heard, plant_of, seconds, spans_of, states, together, told

MAP = {"1": "running", "2": "idle", "3": "fault"}


class TestDurations:
    """A row at 12:05 that says "60 seconds" speaks of 12:04 to 12:05."""

    def _plant(self) -> Plant:
        return plant_of(state={"metric": "State", "map": MAP, "duration_metric": "Held"}, silence_after_s=None)

    def _rows(self, *rows: tuple[float, float, float | None], quality: int = 192) -> pd.DataFrame:
        return together(
            heard("State", [row[:2] for row in rows], quality),
            heard("Held", [(row[0], row[2]) for row in rows], quality),
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
        # Nothing is known of the time after the window.
        return told(states(plant, heard("Count", readings), window, as_of=window[1]))

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


def _counting(seed: int) -> tuple[list[tuple[int, int]], list[tuple[float, float]]]:
    """Readings and silences of two and a half hours: cycles, pauses around the threshold, several parts at once."""
    chance = random.Random(seed)
    readings, silences, second, count = [(300, 0)], [], 300, 0
    while second < 9000:
        pause = chance.choice([20, 20, 20, 60, 119, 120, 121, 240, 900])
        if chance.random() < 0.3:  # readings that show nothing new
            readings += [(second + n, count) for n in range(10, pause, 10)]
        elif pause > 300:
            silences.append((second + 100, second + pause))
        second += pause
        count += chance.choice([1, 1, 2, pause // 20])
        readings.append((second, count))
    return readings, silences


def _counts_by_the_second(
    readings: list[tuple[int, int]], silences: list[tuple[float, float]], end: int, cycle_s: int, known_until: int
) -> list[str]:
    """Every second looked up afresh: between which two counts it lies, and how long the later parts took."""
    counts = [readings[0][0]] + [b[0] for a, b in itertools.pairwise(readings) if b[1] > a[1]]
    made = {b[0]: b[1] - a[1] for a, b in itertools.pairwise(readings)}
    out = []
    for second in range(end):
        before = [at for at in counts if at <= second]
        after = [at for at in counts if at > second]
        if not before or any(a <= second < b for a, b in silences):
            out.append("unknown")
            continue
        begins, ends = before[-1], after[0] if after else known_until
        worked_from = max(ends - made[ends] * cycle_s, begins) if after else ends
        is_pause = ends - begins > max(120, 3 * cycle_s)
        out.append("idle" if is_pause and second < worked_from else "running")
    return out


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), cycle_s=st.sampled_from([5, 20, 100]), size=st.sampled_from([611, 3000, 12_000]))
def test_counts_second_by_second_whatever_the_window(seed: int, cycle_s: int, size: int) -> None:
    readings, silences = _counting(seed)
    plant = plant_of(
        state={"source": "counts"}, counters=[{"metric": "Count", "counts": "good"}], max_parts_per_s=9,
        ideal_cycle_time_ms=cycle_s * 1000,
    )  # fmt: skip
    found: list[str] = []
    for first in range(0, 12_000, size):
        window = (first, min(first + size, 12_000))
        derived = states(plant, heard("Count", readings), window, gaps=spans_of(silences), as_of=12_600)
        found += [state for a, b, state in told(derived) for _ in range(int(a), int(b))]
    assert found == _counts_by_the_second(readings, silences, 12_000, cycle_s, 12_600)


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
