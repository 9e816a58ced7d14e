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


def _counts(seed: int, *, on_change: bool) -> list[Row]:
    """Four days of a machine that only counts: runs, pauses of seconds to hours, some across the edge of a day."""
    chance = random.Random(seed)
    rows: list[Row] = []
    second, count, resumes = -3 * 3600.0, 0, -3 * 3600.0
    # One pause begins shortly before each edge and ends after it.
    pauses = {
        day * DAY_S - chance.choice([20, 50, 100, 115]): chance.choice([100, 130, 7200]) for day in range(1, DAYS)
    }
    while second < DAYS * DAY_S:
        second += 10
        for begins in [begins for begins in pauses if begins <= second]:
            resumes = second + pauses.pop(begins)
        if second >= resumes and chance.random() < 0.01:
            resumes = second + chance.choice([60, 130, 900, 5000])
        made = second >= resumes and chance.random() < 0.5
        count += made
        if made or not on_change:
            rows.append(("M1", "Good", "", at(second), float(count), None, 192, None))
        elif chance.random() < 0.1:
            rows.append(("M1", "Heartbeat", "", at(second), 1.0, None, 192, None))
    return rows


@pytest.mark.parametrize("on_change", [False, True])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("ideal_cycle_time_ms", [None, 20_000, 1_500_000])
def test_day_by_day_equals_the_whole_where_a_machine_only_counts(
    plain_database: str, seed: int, on_change: bool, ideal_cycle_time_ms: int | None
) -> None:
    plant = plant_of(
        state={"source": "counts"},
        counters=[{"metric": "Good", "counts": "good"}],
        ideal_cycle_time_ms=ideal_cycle_time_ms,
        silence_after_s=900,
        max_parts_per_s=1,
    )
    found = _assert_days_equal_the_whole(plain_database, plant, _counts(seed, on_change=on_change))
    assert {"running", "idle"} <= set(found["state"])


def _assert_days_equal_the_whole(url: str, plant: Plant, rows: list[Row]) -> pd.DataFrame:
    """Machine states of four days, derived one by one, in the middle of two, and at once."""
    days = _days()
    whole = Window(days[0].start, days[-1].end, AS_OF, days[-1].end)
    pairs = [Window(days[n].start, days[n + 1].end, AS_OF, days[n + 1].end) for n in (0, 2)]
    with connect(url) as conn:
        write_samples(conn, batch(rows), ingested_at=dt.datetime.now(dt.UTC))
        at_once = machine_states._compute(conn, plant, whole).rows
        for windows in (days, pairs):
            alone = [machine_states._compute(conn, plant, window).rows for window in windows]
            pd.testing.assert_frame_equal(pd.concat(alone, ignore_index=True), at_once)
    return at_once


def _flapping(seed: int) -> list[Row]:
    """States that toggle every second or two for minutes to hours, around the edges of days too; and real ones."""
    chance = random.Random(seed)
    rows: list[Row] = []
    second = -4 * 3600.0
    edges = [day * DAY_S - chance.randint(1, 5000) for day in range(1, DAYS)]
    while second < DAYS * DAY_S:
        if chance.random() < 0.02 or (edges and edges[0] <= second):
            edges = [edge for edge in edges if edge > second]
            until = second + chance.choice([30, 600, 3000, 5000])
            while second < until:
                second += chance.choice([0.5, 1.0, 2.0, 2.0, 30.0 if chance.random() < 0.001 else 1.0])
                value = chance.choice([1, 2, 2, 3]) if chance.random() > 0.002 else None
                rows.append(("M1", "MachineState", "", at(second), value, None, 192, None))
        second += chance.choice([3.0, 4.0, 600.0, 20_000.0, 1200.0])
        rows.append(("M1", "MachineState", "", at(second), float(chance.choice([1, 2, 3])), None, 192, None))
        if chance.random() < 0.5:
            rows += [("M1", "Good", "", at(second + n), 1.0, None, 192, None) for n in range(1, 4000, 700)]
    return rows


@pytest.mark.parametrize("seed", range(6))
def test_day_by_day_equals_the_whole_where_a_controller_toggles(plain_database: str, seed: int) -> None:
    state = {"map": {"1": "running", "2": "idle", "3": "fault"}, "settle_s": 3.5}
    plant = plant_of(state=state, silence_after_s=900, counters=[{"metric": "Good", "counts": "good"}])
    rows = _flapping(seed)
    found = _assert_days_equal_the_whole(plain_database, plant, rows)
    assert len(found) < len(rows)
    assert {"running", "idle", "fault", "unknown"} <= set(found["state"])


def test_day_by_day_equals_the_whole_where_a_machine_says_how_long(plain_database: str) -> None:
    state = {"map": {"1": "running", "2": "idle"}, "duration_metric": "Held"}
    plant = plant_of(state=state, silence_after_s=None)
    rows: list[Row] = []
    for second in range(-7200, DAYS * DAY_S, 300):
        held = 200.0 if second % 50_000 == 0 else 300.0
        rows.append(("M1", "MachineState", "", at(second), 1.0 if second < 2 * DAY_S else 2.0, None, 192, None))
        rows.append(("M1", "Held", "", at(second), held, None, 192, None))
    _assert_days_equal_the_whole(plain_database, plant, rows)


def test_day_by_day_equals_the_whole_where_people_book(plain_database: str) -> None:
    """Bookings that meet are one run, however many there are."""
    plant = plant_of(state={"source": "operator"}, counters=[])
    with connect(plain_database) as conn:
        for number in range(-3, 3 * DAYS):
            conn.execute(
                "INSERT INTO operator_entries (source_key, machine_id, kind, starts_at, ends_at, entered_by,"
                " entered_at, source) VALUES (%s, 'M1', 'production', %s, %s, 'Ann', now(), 'operator')",
                (f"b{number}", at(number * DAY_S / 3), at((number + 1) * DAY_S / 3 - (60 if number == 5 else 0))),
            )
    _assert_days_equal_the_whole(plain_database, plant, [])


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
