"""What sensors delivered: samples taken out by hand are the ones that are missing."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodlytics.datasets.models import validate
from prodlytics.kpi import spans
from prodlytics.kpi.sensor_delivery import COLUMNS, Day, derive_sensor_delivery
from prodlytics_tests.kpi import floor
from prodlytics_tests.kpi.floor import NOW, at, calendar, ledger_of, plant, states

S = 1_000_000
NOTHING = pd.DataFrame({name: pd.Series(dtype=object) for name in COLUMNS})


def day(*said: tuple[float, str], date: dt.date = floor.DAY, plan: str = "planned", offset: float = 0) -> Day:
    """A production day with these states, in minutes, one plan for all of it."""
    minutes = sum(length for length, _ in said)
    where = plant()
    ledger = ledger_of(
        where, states(*said, start=offset), calendar((minutes, plan), start=offset), at(offset), at(offset + minutes)
    )
    return Day.of(date, at(offset), at(offset + 1440), ledger)


def every(seconds: float, start_s: float, end_s: float) -> spans.IntArray:
    """Instants every so many seconds from six o'clock on."""
    origin = spans.instant_us(floor.SIX)
    return (origin + np.arange(start_s * S, end_s * S, seconds * S)).astype(np.int64)


def judged(
    times: spans.IntArray, *days: Day, metric: str = "Temperature_C", usual: pd.DataFrame = NOTHING
) -> list[Any]:
    rows = derive_sensor_delivery(plant().machines[0], days, {(metric, ""): times}, usual, NOW)
    assert list(rows.columns) == COLUMNS
    return rows.to_dict("records")


def test_a_sensor_that_delivers_everything() -> None:
    (row,) = judged(every(10, 3, 86_400), day((1440, "running")))
    assert (row["sample_count"], row["missing_count"], row["delivery"]) == (8640, 0, 1.0)
    assert (row["running_interval_s"], row["running_regular"]) == (10.0, 1.0)
    assert row["longest_gap_s"] == 10.0
    assert row["null_reason"] is None


def test_a_quarter_of_an_hour_without_one() -> None:
    """Every 10 s; 15 minutes without: 90 of 8,640 are missing, 98.96 %, a little less than asked."""
    times = every(10, 0, 86_400)
    (row,) = judged(np.delete(times, np.s_[3000:3090]), day((1440, "running")))
    assert (row["missing_count"], row["sample_count"]) == (90, 8550)
    assert row["delivery"] == pytest.approx(8550 / 8640)
    assert row["longest_gap_s"] == 910.0


def test_the_end_and_the_beginning_of_a_day_count_too() -> None:
    times = every(10, 600, 85_800)
    (row,) = judged(times, day((1440, "running")))
    assert abs(row["missing_count"] - 120) <= 1  # 60 before the first; nobody knows whether one was due at six sharp


def test_slower_while_standing_is_nothing_missing() -> None:
    """10 s while running, 5 minutes while not; an hour each, in turn."""
    times = np.concatenate(
        [every(10, 7200 * n, 7200 * n + 3600) for n in range(12)]
        + [every(300, 7200 * n + 3600, 7200 * (n + 1)) for n in range(12)]
    )
    said = [(60, "running"), (60, "idle")] * 12
    (row,) = judged(np.sort(times), day(*said))
    assert (row["missing_count"], row["running_interval_s"], row["standing_interval_s"]) == (0, 10.0, 300.0)


def test_what_is_sent_when_it_changes_cannot_be_counted() -> None:
    rng = np.random.default_rng(7)
    times = spans.instant_us(floor.SIX) + np.cumsum(rng.exponential(60 * S, 1300)).astype(np.int64)
    (row,) = judged(times, day((1440, "running")))
    assert np.isnan(row["delivery"])
    assert row["null_reason"] == "sent_on_change"
    assert row["sample_count"] > 1000


def test_a_counter_is_steady_only_because_the_machine_is() -> None:
    (row,) = judged(every(10, 0, 3600), day((60, "running"), (1380, "idle")), metric="Good")
    assert row["null_reason"] == "sent_on_change"
    assert pd.isna(row["missing_count"])
    assert np.isnan(row["delivery"])


def test_a_sensor_that_fell_silent_for_a_day_is_judged_by_the_days_before() -> None:
    one = day((1440, "running"))
    two = day((1440, "running"), date=floor.DAY + dt.timedelta(days=1), offset=1440)
    first, second = judged(every(10, 0, 86_400), one, two)
    assert first["delivery"] == 1.0
    assert (second["sample_count"], second["missing_count"], second["delivery"]) == (0, 8640, 0.0)
    # The same two days computed one after the other.
    (alone,) = judged(every(10, 0, 86_400)[:0], two, usual=pd.DataFrame([first]))
    assert {k: v for k, v in alone.items() if v == v} == {k: v for k, v in second.items() if v == v}


def test_half_of_the_samples_is_half_although_they_come_steadily() -> None:
    one = day((1440, "running"))
    two = day((1440, "running"), date=floor.DAY + dt.timedelta(days=1), offset=1440)
    times = np.concatenate([every(10, 0, 86_400), every(20, 86_400, 172_800)])
    second = judged(times, one, two)[1]
    assert second["delivery"] == pytest.approx(0.5, abs=0.001)


def test_nothing_is_expected_of_a_machine_switched_off_outside_the_plan() -> None:
    one = day((1440, "running"))
    two = day((1440, "unknown"), date=floor.DAY + dt.timedelta(days=1), offset=1440, plan="not_scheduled")
    second = judged(every(10, 0, 86_400), one, two)[1]
    assert np.isnan(second["delivery"])
    assert second["null_reason"] == "nothing_expected"


def test_a_silent_feed_in_planned_time_delivers_nothing() -> None:
    """Running for 12 hours, silent for 12: half is missing."""
    (row,) = judged(every(10, 0, 43_200), day((720, "running"), (720, "unknown")))
    assert row["delivery"] == pytest.approx(0.5, abs=0.001)


def test_too_few_to_say_anything() -> None:
    (row,) = judged(every(3600, 0, 36_000), day((1440, "running")))
    assert row["null_reason"] == "too_few_samples"


@settings(max_examples=50, deadline=None)
@given(
    interval=st.integers(5, 120),
    jitter=st.floats(0, 0.1),
    seed=st.integers(0, 2**31),
    lost=st.sets(st.integers(1, 600), max_size=60),
)
def test_as_many_are_missing_as_were_taken_out(interval: int, jitter: float, seed: int, lost: set[int]) -> None:
    """Steady to a tenth of the interval; any of the first 600 samples but the first taken out."""
    times = every(interval, 0, 86_400)
    wobble = np.random.default_rng(seed).uniform(-jitter / 2, jitter / 2, len(times)) * interval * S
    times = times + wobble.astype(np.int64)
    times[0] = spans.instant_us(floor.SIX)
    (row,) = judged(np.delete(times, sorted(lost)), day((1440, "running")))
    taken = len(lost)
    assert abs(row["missing_count"] - taken) <= 1


def test_a_plant_whose_machines_send_nothing_has_no_rows() -> None:
    """A job shop with bookings alone: the empty frame is one that can be stored."""
    rows = derive_sensor_delivery(plant().machines[0], [day((1440, "running"))], {}, NOTHING, NOW)
    assert validate("sensor_delivery", rows).good.empty
