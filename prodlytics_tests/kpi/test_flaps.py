"""A controller that toggles: short states belong to the state before, for an hour at most; second by second."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from prodlytics.kpi.flaps import LONGEST_FLAP, changes_per_hour
from prodlytics.plant.model import Plant
from prodlytics_tests.kpi import floor
from prodlytics_tests.kpi.feed import heard, plant_of, seconds, spans_of, states, together, told

MAP = {"1": "running", "2": "idle", "3": "fault"}
NAMES = {1: "running", 2: "idle", 3: "fault"}


def _plant(settle_s: float | None = 5, **more: Any) -> Plant:
    return plant_of(state={"metric": "State", "map": MAP, "settle_s": settle_s}, **more)


def _told(*rows: tuple[float, Any], settle_s: float | None = 5, until: float = 1000, **more: Any) -> list[Any]:
    return told(states(_plant(settle_s), heard("State", rows), (0, until), **more))


def test_a_short_state_belongs_to_the_state_before() -> None:
    rows = [(0, 1), (100, 2), (104, 1), (200, 2), (205, 1)]
    assert _told(*rows) == [(0, 200, "running"), (200, 205, "idle"), (205, 1000, "running")]
    assert len(_told(*rows, settle_s=None)) == 5


def test_toggling_is_one_state_until_one_settles() -> None:
    toggling = [(100 + 2 * n, 2 if n % 2 == 0 else 1) for n in range(100)]
    assert _told((0, 1), *toggling, (300, 2)) == [(0, 300, "running"), (300, 1000, "idle")]


def test_several_words_of_one_state_settle_together() -> None:
    names = {"1": "running", "2": "idle", "4": "idle"}
    plant = plant_of(state={"metric": "State", "map": names, "settle_s": 5})
    derived = states(plant, heard("State", [(0, 1), (100, 2), (103, 4), (106, 1)]), (0, 200))
    assert told(derived) == [(0, 100, "running"), (100, 103, "idle"), (103, 106, "idle"), (106, 200, "running")]


def test_after_an_hour_it_is_taken_as_it_is() -> None:
    assert LONGEST_FLAP.total_seconds() == 3600
    toggling = [(10 + 2 * n, 2 if n % 2 == 0 else 1) for n in range(1900)]
    found = _told((0, 1), *toggling, until=3900)
    # The idle state of 3610 began within an hour of the last settled one, which ended at 10; the one of 3614 did not.
    assert found[0] == (0, 3614, "running")
    assert found[1:3] == [(3614, 3616, "idle"), (3616, 3618, "running")]


def test_nobody_knows_is_no_state_to_belong_to_nor_to_be_swallowed() -> None:
    quality = together(heard("State", [(0, 1), (103, 1)]), heard("State", [(100, None)]))
    assert told(states(_plant(), quality, (0, 200))) == [
        (0, 100, "running"), (100, 103, "unknown"), (103, 200, "running")
    ]  # fmt: skip
    silent = spans_of([(50, 100)])
    assert _told((0, 1), (102, 2), (104, 1), until=200, gaps=silent) == [
        (0, 50, "running"), (50, 100, "unknown"), (100, 102, "running"), (102, 104, "idle"),
        (104, 200, "running"),
    ]  # fmt: skip


def test_a_fault_too_short_to_be_one_has_no_code() -> None:
    samples = together(heard("State", [(0, 1), (100, 3), (102, 1)]), heard("Fault", [(100, 17), (102, 0)]))
    rows = states(_plant(fault_metric="Fault"), samples, (0, 200)).rows
    assert rows[["state", "native_state", "fault_code"]].to_numpy().tolist() == [["running", "1", None]]


def test_only_a_controller_settles() -> None:
    with pytest.raises(ValidationError, match="settle_s is for states of a controller"):
        plant_of(state={"source": "counts", "settle_s": 5})


def _history(seed: int) -> tuple[list[tuple[int, int]], list[tuple[float, float]], int]:
    """Samples, silences, end: bursts of toggling up to two hours, states of minutes, a silent feed."""
    chance = random.Random(seed)
    rows, gaps, second = [(0, 1)], [], 0
    for _ in range(chance.randint(1, 5)):
        second += chance.choice([3, 5, 60, 900])
        for _ in range(chance.choice([1, 2, 30, 2500])):
            rows.append((second, chance.choice([1, 2, 2, 3])))
            second += chance.choice([1, 1, 2, 2, 4])
        if chance.random() < 0.4:
            gaps.append((second, second + 400))
            second += 400
    return rows, gaps, second + 100


def _brute_force(rows: list[tuple[int, int]], gaps: list[tuple[float, float]], end: int, settle: int) -> list[str]:
    raw, value, samples = [], 1, dict(rows)
    for second in range(end):
        value = samples.get(second, value)
        raw.append("unknown" if any(a <= second < b for a, b in gaps) else NAMES[value])
    runs: list[tuple[int, int, str]] = []
    for second, name in enumerate(raw):
        if runs and runs[-1][2] == name:
            runs[-1] = (runs[-1][0], second + 1, name)
        else:
            runs.append((second, second + 1, name))
    out: list[str] = []
    held: tuple[int, str] | None = None
    for first, last, name in runs:
        said = name
        if name == "unknown":
            held = None
        elif last - first >= settle:
            held = (last, name)
        elif held is not None and first - held[0] <= 3600:
            said = held[1]
        out += [said] * (last - first)
    return out


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), settle=st.sampled_from([2, 3, 5]), size=st.sampled_from([777, 3000]))
def test_every_second_and_window_by_window(seed: int, settle: int, size: int) -> None:
    rows, gaps, end = _history(seed)
    samples, silences, plant = heard("State", rows), spans_of(gaps), _plant(settle)
    found = told(states(plant, samples, (0, end), gaps=silences, as_of=end))
    cells = [name for first, last, name in found for _ in range(int(first), int(last))]
    assert cells == _brute_force(rows, gaps, end, settle)
    pieces = [
        states(plant, samples, (first, min(first + size, end)), gaps=silences, as_of=end).rows
        for first in range(0, end, size)
    ]
    cut = pd.concat(pieces)
    assert [
        name
        for first, last, name in zip(seconds(cut["starts_at"]), seconds(cut["ends_at"]), cut["state"], strict=True)
        for _ in range(int(first), int(last))
    ] == cells


def test_changes_are_counted_by_hour_of_the_plants_clock() -> None:
    rows = floor.states((59, "running"), (2, "idle"), (3, "idle"), (100, "running"), (1, "fault"), (9, "running"))
    two = pd.concat([rows, rows.assign(machine_id="M2")])
    found = changes_per_hour(two, ZoneInfo("America/Chicago"))
    assert sorted((machine, hour.to_pydatetime(), count) for machine, hour, count in found if machine == "M1") == [
        ("M1", dt.datetime(2026, 3, 2, hour, tzinfo=ZoneInfo("America/Chicago")), count)
        for hour, count in ((6, 1), (7, 1), (8, 2))
    ]
    assert {machine for machine, _, _ in found} == {"M1", "M2"}
