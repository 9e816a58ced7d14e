"""Causes of stops: a readable cause is found on later days, an unreadable one is not promised, and nobody invents."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pandas as pd
import pytest

from prodlytics.insights.causes.answer import InUse, by_model, by_rule
from prodlytics.insights.causes.encode import learn_encoding
from prodlytics.insights.causes.train import CauseModel, Training, train_causes
from prodlytics.insights.promotion import decide
from prodlytics.insights.store import from_bytes, to_bytes
from prodlytics_tests.insights.stops import FIRST, ZONE, invented

NOW = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def trained() -> Training:
    return train_causes(*invented(), ZONE)


def test_a_readable_cause_is_found_on_later_days(trained: Training) -> None:
    metrics = trained.metrics
    # By construction the temperature is 4.7 deviations over usual and the vibration 4.4: who looks cannot miss it.
    assert metrics["accuracy"] > 0.95
    assert metrics["macro_f1"] > 0.95
    assert metrics["log_loss"] < 0.3 < metrics["log_loss_of_prior"]
    assert decide("score", trained.score, 0.0, margin=trained.margin).promoted


def test_days_are_never_divided_between_training_and_judging(trained: Training) -> None:
    _, _, days = invented()
    assert trained.parts is not None
    fit, calibrate, judge = (
        set(days[rows]) for rows in (trained.parts.fit, trained.parts.calibrate, trained.parts.judge)
    )
    assert max(fit) < min(calibrate) <= max(calibrate) < min(judge)
    assert len(judge) == pytest.approx(0.3 * len(set(days)), abs=1)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_shuffled_causes_are_not_promoted(seed: int) -> None:
    features, causes, days = invented()
    done = train_causes(features, np.random.default_rng(seed).permutation(causes), days, ZONE)
    assert done.metrics["macro_f1"] < 0.42  # three causes drawn at random: a third
    assert not decide("score", done.score, 0.0, margin=done.margin).promoted


def test_a_rare_cause_drawn_at_random_is_not_promoted() -> None:
    features, _, days = invented()
    rare = np.where(np.random.default_rng(5).random(len(features)) < 0.08, "RARE", "USUAL").astype(object)
    done = train_causes(features, rare, days, ZONE)
    assert not decide("score", done.score, 0.0, margin=done.margin).promoted


def test_too_few_named_stops_say_how_many_there_are() -> None:
    features, causes, days = invented(60)
    done = train_causes(features, causes, days, ZONE)
    assert done.model is None
    assert done.missing.startswith("not enough data: at least two causes need 20 named stops each")
    first = done.parts  # nothing was split
    assert first is None
    few = train_causes(features[:10], causes[:10], days[:10], ZONE)
    assert "10 days" in few.missing or "named stops" in few.missing


def test_the_same_data_gives_the_same_model() -> None:
    features, causes, days = invented(500)
    hashes = {to_bytes(train_causes(features, causes, days, ZONE).model.as_dict())[1] for _ in range(2)}  # type: ignore[union-attr]
    assert len(hashes) == 1


def test_changing_later_stops_changes_no_answer_about_earlier_ones(trained: Training) -> None:
    """Each row is read on its own: nothing of the future reaches the past."""
    features, _, _ = invented()
    model = trained.model
    assert model is not None
    whole = model.probabilities(features)
    changed = features.copy()
    changed.loc[450:, "sensors_60s"] = "{}"
    changed.loc[450:, "machine_id"] = "Mill09"
    np.testing.assert_array_equal(model.probabilities(changed)[:450], whole[:450])


def test_evidence_names_the_sensor_with_its_numbers(trained: Training) -> None:
    features, causes, _ = invented()
    assert trained.model is not None
    model = CauseModel.from_dict(from_bytes(*to_bytes(trained.model.as_dict())))
    used = InUse(model, 4, FIRST.to_pydatetime(), FIRST.to_pydatetime() + dt.timedelta(days=40))
    rows = by_model(features, pd.Series(causes), used, NOW)
    sure = rows[(rows["cause"] == "MECH") & (rows["coded_category"] == "MECH")]
    hot = sure["evidence"].str.contains("SpindleTemp_C")
    assert hot.mean() > 0.9
    example = sure.loc[hot, "evidence"].iloc[0]
    assert example.startswith("Evidence, not proof: ")
    assert "over its usual" in example
    # What the sentence says is what the row says.
    stop = features.loc[hot[hot].index[0]]
    mean = json.loads(stop["sensors_60s"])["SpindleTemp_C"]
    assert any(f"{mean[figure]:.1f}" in example for figure in ("mean", "min", "max", "last"))
    assert rows["in_training"].sum() == (features["stop_started_at"] < used.trained_until).sum()
    assert set(rows["model_version"]) == {4}


def test_a_named_cause_is_doubted_only_against_clear_evidence(trained: Training) -> None:
    features, causes, _ = invented()
    assert trained.model is not None
    used = InUse(trained.model, 1, FIRST.to_pydatetime(), FIRST.to_pydatetime())
    said = np.where(causes == "MECH", "MATL", causes)  # the spindle was hot, people said material
    rows = by_model(features, pd.Series(said), used, NOW)
    assert rows.loc[causes == "MECH", "disagrees"].mean() > 0.9
    assert rows.loc[causes != "MECH", "disagrees"].mean() < 0.05
    # A cause the model never learned, and a stop nobody named, are not doubted.
    unknown = by_model(features, pd.Series(np.full(len(causes), "FIRE", dtype=object)), used, NOW)
    assert not unknown["disagrees"].any()
    assert not by_model(features, pd.Series([None] * len(causes)), used, NOW)["disagrees"].any()


def test_where_nothing_is_likely_the_answer_is_unknown() -> None:
    features, _, days = invented()
    coin = np.random.default_rng(8).choice(np.array(["A", "B"], dtype=object), len(features))
    done = train_causes(features, coin, days, ZONE)
    assert done.model is not None
    rows = by_model(features, pd.Series(coin), InUse(done.model, 1, NOW, NOW), NOW)
    late = rows[done.parts.judge] if done.parts is not None else rows
    assert (late["cause"] == "unknown").mean() > 0.9
    assert late["confidence"].between(0, 1).all()


def test_a_counter_that_only_grows_is_no_feature() -> None:
    features, _, _ = invented()
    assert not [name for name in learn_encoding(features, ZONE).numeric if name.startswith("GoodCount|value")]


def test_rules_answer_by_fault_code_until_there_is_a_model() -> None:
    features, _, _ = invented(3)
    features["fault_code"] = ["104", "900", None]
    rows = by_rule(
        features, pd.Series(["MATL", None, "TOOL"]), {"104": ("MECH", "Spindle")}, "not enough data: 3 of 20", NOW
    )
    assert list(rows["cause"]) == ["MECH", "unknown", "unknown"]
    assert list(rows["answered_by"]) == ["rule", "none", "none"]
    assert list(rows["disagrees"]) == [True, False, False]
    assert rows["evidence"].iloc[0] == "The controller showed fault 104, which stands for Spindle."
    assert list(rows["null_reason"]) == [None, "not enough data: 3 of 20", "not enough data: 3 of 20"]
    assert rows["confidence"].isna().all()
