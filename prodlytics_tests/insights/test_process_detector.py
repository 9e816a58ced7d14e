"""The process detector on data nobody here made, and what it must survive to be trusted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.ml_anomalies import TEP_HIDDEN, always, ours, rates, skab, tep
from prodlytics.assets.anomaly_training import decided, judged_on, parameters_for, split, trained
from prodlytics.insights.anomalies.judged import Judgement, limits_of_each
from prodlytics.insights.anomalies.minutes import MINUTE_US, Minutes
from prodlytics.insights.anomalies.process import NotEnough, Parameters, ProcessModel, fit, score
from prodlytics.insights.anomalies.rows import alarm_spans
from prodlytics.insights.store import from_bytes, to_bytes
from prodlytics.plant.anomalies import Anomalies

CHANNELS = ("Temperature_C", "Power_kW", "Vibration_Velocity_mms")


def operation(count: int, seed: int, drift: float = 0.0) -> np.ndarray:
    """Minutes of three sensors that belong together: a slow common swing, own noise, and a drift of one."""
    rng = np.random.default_rng(seed)
    swing = np.zeros(count)
    for row in range(1, count):
        swing[row] = 0.9 * swing[row - 1] + rng.normal()
    values = rng.normal(size=(count, 3)) + swing[:, None] * np.array([1.0, 0.8, 0.2])
    values[:, 1] += drift * np.arange(count) / count
    return values * np.array([0.5, 0.4, 0.1]) + np.array([55.0, 12.0, 1.4])


def minutes(values: np.ndarray) -> Minutes:
    count = len(values)
    return Minutes(
        np.arange(count, dtype=np.int64) * MINUTE_US,
        values,
        CHANNELS,
        np.zeros(count, dtype=np.int64),
        np.full(count, "P1", dtype=object),
        np.ones(count, dtype=bool),
        np.ones(count, dtype=bool),
    )


@pytest.fixture(scope="module")
def model() -> ProcessModel:
    learn, levels, _ = split(minutes(operation(12_000, 1)))
    found = trained(learn, levels, parameters_for(Anomalies()))
    assert isinstance(found, ProcessModel)
    return found


def test_skab_is_within_what_is_required(shared_data: Path) -> None:
    files = skab(shared_data / "skab", ours)
    found = rates(files)
    assert len(files) == 16
    assert found["far_pct"] <= 15
    assert found["mar_pct"] <= 25
    assert found["f1"] > rates(skab(shared_data / "skab", always))["f1"] + 0.1
    # A valve was closed: flow or pressure stands out first.
    assert sum(one.first_three[0] in ("Volume Flow RateRMS", "Pressure") for one in files) >= 14


def test_tennessee_eastman_is_within_what_is_required(shared_data: Path) -> None:
    faults = [one for one in tep(shared_data / "tep", ours) if int(one.name[1:]) not in TEP_HIDDEN]
    found = rates(faults)
    assert found["far_pct"] <= 4
    assert found["mar_pct"] <= 18


def test_a_normal_month_raises_no_more_than_the_stated_rate(model: ProcessModel) -> None:
    accepted = Anomalies().false_alarm_share
    for seed in (11, 12, 13):
        clean = score(model, operation(30 * 16 * 60, seed))
        assert clean.alarm.mean() <= accepted


def test_a_known_anomalous_hour_is_one_episode_with_its_sensor_first(model: ProcessModel) -> None:
    values = operation(2_000, 21)
    values[1_000:1_060, 2] += 0.5
    found = score(model, values)
    hit = [(a, b) for a, b in alarm_spans(minutes(values).time, found.alarm) if b > 1_000 and a < 1_060]
    (span,) = hit
    assert 1_000 <= span[0] < 1_020
    assert 1_055 <= span[1] <= 1_085
    shares = found.shares[1_010:1_060].mean(axis=0)
    assert CHANNELS[int(shares.argmax())] == "Vibration_Velocity_mms"
    assert np.nanmedian(found.tail[1_020:1_060]) < 1e-3


def test_the_stored_model_answers_the_same(model: ProcessModel) -> None:
    again = trained(*split(minutes(operation(12_000, 1)))[:2], parameters_for(Anomalies()))
    content, content_hash = to_bytes(model.as_plain())
    assert to_bytes(again.as_plain()) == (content, content_hash)
    values = operation(500, 31)
    stored = score(ProcessModel.from_plain(from_bytes(content, content_hash)), values)
    np.testing.assert_array_equal(stored.distance, score(model, values).distance)


def test_the_future_changes_no_score_of_the_past(model: ProcessModel) -> None:
    values = operation(600, 41)
    other = values.copy()
    other[400:] += 100.0
    np.testing.assert_array_equal(score(model, values).distance[:400], score(model, other).distance[:400])


def test_a_silent_sensor_does_not_silence_the_others(model: ProcessModel) -> None:
    values = operation(6_100, 51)
    values[:, 0] = np.nan
    values[6_000:, 2] += 0.6
    found = score(model, values)
    assert found.alarm[:6_000].mean() <= Anomalies().false_alarm_share
    assert found.alarm[6_020:].all()


def test_sensors_that_only_drift_are_left_out_and_named() -> None:
    values = operation(1_000, 61)
    walk = np.cumsum(np.random.default_rng(62).normal(size=1_000))
    found = fit(np.column_stack([values, walk, np.ones(1_000)]), [*CHANNELS, "Ambient_C", "Fixed"])
    assert isinstance(found, ProcessModel)
    assert found.left_out == {"Ambient_C": "drifts", "Fixed": "constant"}


def test_too_little_says_how_much_is_missing() -> None:
    found = fit(operation(120, 71), CHANNELS)
    assert isinstance(found, NotEnough)
    assert found.sentence == "not enough data: 180 more rows of normal operation needed"


def test_a_good_model_beats_the_limits_of_each_sensor(model: ProcessModel) -> None:
    learn, _, last = split(minutes(operation(12_000, 1)))
    challenger = judged_on(model, last)
    verdict = decided(challenger, limits_of_each(learn.values, last.values), None, Anomalies())
    assert verdict.promoted, verdict.why


def test_a_model_whose_world_drifted_away_is_not_promoted() -> None:
    learn, levels, last = split(minutes(operation(6_000, 81)))
    moved = replace(last, values=last.values + np.array([0.0, 2.0, 0.0]))
    model: Any = trained(learn, levels, parameters_for(Anomalies()))
    challenger = judged_on(model, moved)
    verdict = decided(challenger, limits_of_each(learn.values, moved.values), None, Anomalies())
    assert not verdict.promoted
    assert "false alarms on later normal operation, more than the 5.0% the plant accepts" in verdict.why


def test_a_model_that_finds_nothing_is_not_promoted() -> None:
    deaf, simplest = Judgement(0.0, 0.02, 1000), Judgement(0.01, 0.3, 1000)
    assert not decided(deaf, simplest, None, Anomalies()).promoted


def test_a_champion_as_good_stays() -> None:
    same, simplest = Judgement(0.01, 0.8, 1000), Judgement(0.01, 0.3, 1000)
    verdict = decided(same, simplest, same, Anomalies())
    assert not verdict.promoted
    assert "in use is as good" in verdict.why


def test_parameters_are_those_that_were_published() -> None:
    """Changing one means measuring again: docs/model-quality.md and benchmarks/results."""
    assert Parameters() == Parameters(window=20, folds=5, on=0.99, off=0.9, min_swings=8.0, min_rows=300)
