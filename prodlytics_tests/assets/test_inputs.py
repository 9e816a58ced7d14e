"""What the derivations are given from the database: a day alone must know enough to agree with the whole."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from typing import Any

import pandas as pd
import pytest

from prodlytics.assets import inputs, machine_states, production_events
from prodlytics.assets.window import Window
from prodlytics.db.connect import connect
from prodlytics.db.telemetry import write_samples
from prodlytics.kpi.counters import REACH
from prodlytics.plant.model import Plant
from prodlytics_tests.db.samples import Row, batch
from prodlytics_tests.kpi.feed import AS_OF, at, plant_of

DAY_S = 86_400
DAYS = 4


def _plant(**more: Any) -> Plant:
    return plant_of(
        state={"map": {"1": "running", "2": "idle", "3": "fault", "UNAVAILABLE": "unknown"}},
        counters=[{"metric": "Good", "counts": "good", "width_bits": 8}],
        fault_metric="Fault",
        ideal_cycle_time_ms=20_000,
        **more,
    )


def _days() -> list[Window]:
    edges = [at(day * DAY_S) for day in range(DAYS + 1)]
    return [Window(start, end, AS_OF, end) for start, end in itertools.pairwise(edges)]


def _history(seed: int) -> list[Row]:
    """Four days: states of minutes to a day, repeated now and then; counts; an hour of silence; bad reads."""
    chance = random.Random(seed)
    silent = (1.5 * DAY_S - 1800, 1.5 * DAY_S + 1800)
    rows: list[Row] = []
    second, state, count = -3 * 3600.0, 1, 200
    changes = sorted(chance.sample(range(-10_000, DAYS * DAY_S), 40))
    while second < DAYS * DAY_S:
        second += chance.choice([60.0, 61.5, 600.0])
        while changes and changes[0] <= second:
            changes.pop(0)
            state = chance.choice([1, 2, 3, 3])
        if state == 1:
            count = (count + chance.randint(0, 3)) % 256
        if chance.random() < 0.002:
            count = 0
        if silent[0] <= second < silent[1]:
            continue
        quality = 0 if chance.random() < 0.03 else 192
        said: tuple[float | None, str | None] = (None, "UNAVAILABLE") if chance.random() < 0.02 else (state, None)
        rows.append(("M1", "MachineState", "", at(second), *said, quality, None))
        rows.append(("M1", "Good", "", at(second), float(count), None, quality, None))
        # The code comes a little after the state, and not every time.
        if chance.random() < 0.3:
            rows.append(("M1", "Fault", "", at(second + 7), 17.0 if state == 3 else 0.0, None, 192, None))
    return rows


def test_counters_get_the_readings_they_look_at() -> None:
    assert inputs.CONTEXT_SAMPLES >= REACH


@pytest.mark.parametrize("seed", range(4))
def test_day_by_day_equals_the_whole(plain_database: str, seed: int) -> None:
    plant = _plant(silence_after_s=900)
    days = _days()
    whole = Window(days[0].start, days[-1].end, AS_OF, days[-1].end)
    with connect(plain_database) as conn:
        write_samples(conn, batch(_history(seed)), ingested_at=dt.datetime.now(dt.UTC))
        for module in (production_events, machine_states):
            alone = pd.concat([module._compute(conn, plant, day).rows for day in days], ignore_index=True)
            at_once = module._compute(conn, plant, whole).rows
            assert len(at_once) > 50
            pd.testing.assert_frame_equal(alone, at_once)


def test_a_state_in_force_for_weeks_is_carried_in_with_its_start(plain_database: str) -> None:
    plant = _plant(silence_after_s=None)
    start = -30 * DAY_S
    rows: list[Row] = [("M1", "MachineState", "", at(start - 60), 1.0, None, 192, None)]
    rows += [("M1", "MachineState", "", at(second), 2.0, None, 192, None) for second in range(start, 0, 3600)]
    with connect(plain_database) as conn:
        write_samples(conn, batch(rows), ingested_at=dt.datetime.now(dt.UTC))
        states = machine_states._compute(conn, plant, _days()[0]).rows
    assert states[["state", "state_started_at"]].to_numpy().tolist() == [["idle", pd.Timestamp(at(start))]]


def test_without_samples_there_is_one_unknown_state_per_day(plain_database: str) -> None:
    plant = _plant(silence_after_s=900)
    day = _days()[0]
    with connect(plain_database) as conn:
        states = machine_states._compute(conn, plant, day).rows
        events = production_events._compute(conn, plant, day).rows
    assert states[["starts_at", "ends_at", "state"]].to_numpy().tolist() == [
        [pd.Timestamp(day.start), pd.Timestamp(day.end), "unknown"]
    ]
    assert events.empty
