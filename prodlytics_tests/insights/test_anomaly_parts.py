"""Windows, episodes, tails, zones and rules, each against a count by hand or by brute force."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from math import comb

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodlytics.insights.anomalies import episodes, vibration
from prodlytics.insights.anomalies.episodes import Contributor
from prodlytics.insights.anomalies.hypotheses import hypotheses
from prodlytics.insights.anomalies.minutes import minutes_of
from prodlytics.insights.anomalies.scrap import scrap_score
from prodlytics.insights.anomalies.windows import features, swings
from prodlytics.plant.anomalies import Anomalies, Hypothesis

START = dt.datetime(2026, 11, 2, 6, 0, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


@given(
    st.lists(st.one_of(st.floats(0, 10), st.just(float("nan"))), max_size=60),
    st.floats(0, 10),
    st.floats(0, 10),
)
@settings(max_examples=150)
def test_an_alarm_lasts_until_its_lower_level(level: list[float], one: float, other: float) -> None:
    on, off = max(one, other), min(one, other)
    state, expected = False, []
    for value in level:
        state = value > off if state else value > on
        expected.append(state)
    assert episodes.hysteresis(np.array(level), on, off).tolist() == expected


def test_windows_are_those_of_a_loop_and_never_cross_a_gap() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(40, 2))
    values[5, 0] = np.nan
    segments = np.repeat([0, 1], [25, 15])
    found = features(values, segments, 6)
    for row in range(40):
        first = 0 if row < 25 else 25
        window = values[row - 5 : row + 1]
        if row - 5 < first:
            assert np.isnan(found[row]).all()
        else:
            np.testing.assert_allclose(found[row, :2], np.nanmean(window, axis=0))
            np.testing.assert_allclose(found[row, 2:], np.nanstd(window, axis=0, ddof=1))


def test_a_wandering_channel_has_few_swings() -> None:
    rng = np.random.default_rng(4)
    steady, wandering = rng.normal(size=2000), np.cumsum(rng.normal(size=2000))
    few = swings(np.stack([steady, wandering], axis=1), 20)
    assert few[0] > 500
    assert few[1] < few[0] / 50


def test_the_tail_of_rejects_is_exact() -> None:
    """Ten equal shifts scatter less than chance, so the tail is the binomial's."""
    scored = scrap_score(9, 100, [20] * 10, [1000] * 10)
    rate = Fraction(401, 2) / 10_001
    below = sum(comb(100, k) * rate**k * (1 - rate) ** (100 - k) for k in range(9))
    assert scored.tail == pytest.approx(float(1 - below), rel=1e-9)
    assert scored.expected == pytest.approx(float(100 * rate))


def test_shifts_that_scatter_make_a_bad_one_less_surprising() -> None:
    even = scrap_score(9, 100, [20] * 10, [1000] * 10)
    uneven = scrap_score(9, 100, [2, 60, 5, 45, 3, 50, 1, 30, 2, 2], [1000] * 10)
    assert even.tail is not None
    assert uneven.tail is not None
    assert even.tail < 0.001 < uneven.tail


def test_a_good_shift_is_no_anomaly() -> None:
    scored = scrap_score(0, 2000, [20] * 10, [1000] * 10)
    assert scored.tail == 1.0


@pytest.mark.parametrize(
    ("pieces", "history", "says"),
    [
        (12, ([1] * 10, [100] * 10), "too few pieces: 38 more needed"),
        (100, ([1] * 3, [900] * 3), "not enough data: 5 more shifts of this part needed"),
        (100, ([1] * 9, [50] * 9), "not enough data: 50 more pieces of this part needed"),
    ],
)
def test_too_little_says_how_much_is_missing(pieces: int, history: tuple[list[int], list[int]], says: str) -> None:
    scored = scrap_score(5, pieces, *history)
    assert scored.tail is None
    assert scored.null_reason == says


def test_severity_needs_both_unless_it_is_very_unlikely() -> None:
    assert episodes.severity(1e-2, 600) == "low"
    assert episodes.severity(5e-4, 10) == "low"
    assert episodes.severity(5e-4, 40) == "medium"
    assert episodes.severity(5e-5, 90) == "high"
    assert episodes.severity(1e-8, 12) == "high"


#: ISO 10816-1, annex B: class I up to 15 kW, class II 15 to 75 kW.
CLASS_I, CLASS_II = vibration.Limits(0.71, 1.8, 4.5), vibration.Limits(1.12, 2.8, 7.1)


def test_a_zone_is_that_of_the_machines_class() -> None:
    assert vibration.zone(7.0, CLASS_I) == "D"
    assert vibration.zone(7.0, CLASS_II) == "C"
    assert vibration.zone(2.8, CLASS_II) == "B"  # on the boundary: the better zone
    assert vibration.zone(0.5, CLASS_I) == "A"


def test_a_change_since_the_installation_counts_below_the_limit() -> None:
    calm, risen = np.full(60, 1.0), np.full(60, 1.8)
    level = vibration.levels(np.r_[calm, risen], np.zeros(120, dtype=np.int64))
    assert not vibration.alarms(level, CLASS_II, None, 0.25).any()
    alarm = vibration.alarms(level, CLASS_II, 1.0, 0.25)  # 1.0 + 0.25 * 2.8 = 1.7
    assert not alarm[:60].any()
    assert alarm[70:].all()


def test_one_blow_is_no_vibration_severity() -> None:
    values = np.full(60, 1.0)
    values[30] = 40.0
    level = vibration.levels(values, np.zeros(60, dtype=np.int64))
    assert not vibration.alarms(level, CLASS_II, 1.0, 0.25).any()


def test_the_baseline_is_the_first_hours_and_nothing_after() -> None:
    values = np.r_[np.full(30, 1.2), np.full(30, 9.0)]
    assert vibration.baseline(values, 30) == 1.2
    assert vibration.baseline(values[:20], 30) is None


def test_rules_of_the_plant_file_speak_with_their_numbers() -> None:
    found = [Contributor("Power_kW", 0.7, 4.2, 12.5, 10.0), Contributor("Temperature_C", 0.2, -2.0, 41.0, 55.0)]
    said = hypotheses("process", Anomalies().hypotheses, found)
    assert [one["hypothesis"] for one in said] == ["More load than usual: a worn tool, harder material or friction"]
    assert said[0]["evidence"] == ("Power_kW was 12.5, 2.5 above its usual 10 there (4.2 standard deviations)")
    own = [Hypothesis(hypothesis="Chiller off", sensor="temp*", direction="low", check="Ask facilities")]
    assert hypotheses("process", own, found)[0]["hypothesis"] == "Chiller off"


def test_a_quiet_sensor_is_no_evidence() -> None:
    found = [Contributor("Power_kW", 0.9, 0.3, 10.1, 10.0)]
    assert hypotheses("process", Anomalies().hypotheses, found) == []


def _at(minutes: float) -> pd.Timestamp:
    return pd.Timestamp(START + minutes * MINUTE)


def test_minutes_are_those_in_which_the_machine_ran_throughout() -> None:
    spans = [
        (0, 5, "running"), (5, 10.5, "running"), (10.5, 12, "micro_stop"), (12, 140, "running"),
        (140, 180, "failure"), (180, 190, "running"),
    ]  # fmt: skip
    ledger = pd.DataFrame(
        [(_at(begin), _at(end), bucket) for begin, end, bucket in spans], columns=["starts_at", "ends_at", "bucket"]
    )
    for name in ("starts_at", "ends_at"):
        ledger[name] = ledger[name].astype("datetime64[us, UTC]")
    means = pd.DataFrame({"metric_name": ["T"] * 3, "minute": [0, 1, 30], "value": [1.0, 2.0, 3.0]})
    orders = pd.DataFrame({"part_number": ["P1"], "started_at": [_at(20)], "ended_at": [_at(60)]})
    start = round(START.timestamp() * 1_000_000)
    found = minutes_of(start, start + 190 * 60_000_000, means, ledger, orders)
    place = ((found.time - start) // 60_000_000).tolist()
    assert place == [*range(10), *range(12, 140), *range(180, 190)]
    values = dict(zip(place, found.values[:, 0].tolist(), strict=True))
    assert values[9] == 2.0  # a value holds ten minutes
    assert np.isnan(values[13])
    parts = dict(zip(place, found.parts.tolist(), strict=True))
    assert (parts[19], parts[20], parts[59], parts[60]) == ("", "P1", "P1", "")
    normal = dict(zip(place, found.normal.tolist(), strict=True))
    assert not normal[59]  # warming up
    assert normal[60]
    assert normal[109]
    assert not normal[110]  # half an hour before a failure is not normal operation
    segments = dict(zip(place, found.segments.tolist(), strict=True))
    assert segments[0] == segments[19] != segments[20]  # another order
    assert segments[20] == segments[139] != segments[180]  # cold after forty minutes
