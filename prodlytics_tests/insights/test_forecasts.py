"""Forecasts of yield: honest against the simplest one, with intervals that hold, and silent without data."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodlytics.insights.forecasts import backtest as bt
from prodlytics.insights.forecasts.choose import forecast
from prodlytics.insights.forecasts.rows import DAILY, forecast_rows, judged
from prodlytics.insights.forecasts.series import Series, of_counts

MONDAY = dt.date(2026, 8, 3)
END = dt.datetime(2026, 11, 2, 12, tzinfo=dt.UTC)


def counts(shares: list[float], volume: int = 1000, first: dt.date = MONDAY, member: str = "M1") -> pd.DataFrame:
    """Days one after the other with so large a share of good parts."""
    return pd.DataFrame(
        {
            "level": "machine",
            "member": member,
            "production_date": [first + dt.timedelta(days=i) for i in range(len(shares))],
            "good": [round(share * volume) for share in shares],
            "total": [volume] * len(shares),
        }
    ).astype({"good": float, "total": float})


def made(frame: pd.DataFrame, days: int) -> pd.DataFrame:
    return forecast_rows(frame, MONDAY + dt.timedelta(days=days - 1), END, END)


def test_without_two_weeks_of_parts_nothing_is_forecast_and_how_many_days_are_missing_is_said() -> None:
    rows = made(counts([0.97] * 13), 13)
    assert rows["expected_yield"].isna().all()
    assert set(rows["null_reason"]) == {"not enough data: 1 more days with parts needed"}
    assert made(counts([0.97] * 14), 14)["null_reason"].isna().all()


def test_without_errors_of_the_past_there_is_a_forecast_and_no_interval() -> None:
    rows = made(counts([0.97] * 14), 14)
    assert rows["expected_yield"].notna().all()
    assert rows["low_yield"].isna().all()
    assert set(rows["method_reason"]) == {"0 weeks of errors are known, 3 are needed"}


def test_a_steady_yield_is_forecast_as_it_is() -> None:
    rows = made(counts([0.97] * 80), 80)
    assert list(rows["expected_yield"]) == pytest.approx([0.97] * 7)
    assert list(rows["expected_part_count"]) == pytest.approx([1000] * 7)
    assert [str(day) for day in rows["forecast_date"]][:2] == ["2026-10-22", "2026-10-23"]


def test_a_weekday_that_is_worse_every_week_is_expected_to_be_worse_again() -> None:
    shares = [0.90 if i % 7 == 0 else 0.98 for i in range(84)]
    rows = made(counts(shares), 84).set_index("forecast_date")["expected_yield"]
    mondays = [value for day, value in rows.items() if day.weekday() == 0]  # type: ignore[union-attr]
    others = [value for day, value in rows.items() if day.weekday() != 0]  # type: ignore[union-attr]
    assert mondays == pytest.approx([0.90], abs=0.005)
    assert others == pytest.approx([0.98] * 6, abs=0.005)


def test_what_comes_later_changes_no_forecast_of_before() -> None:
    rng = np.random.default_rng(5)
    shares = list(rng.binomial(1000, 0.96, 100) / 1000)
    other = shares[:70] + [0.2] * 30
    pd.testing.assert_frame_equal(made(counts(shares), 70), made(counts(other), 70))
    pd.testing.assert_frame_equal(made(counts(shares), 70), made(counts(shares[:70]), 70))


def test_pure_chance_is_no_reason_to_leave_the_simple_forecasts() -> None:
    """Binomial noise around one level: over many series no complex candidate may be taken for better too often."""
    taken = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        values = list(rng.binomial(500, 0.95, 90).astype(float))
        dates = [MONDAY + dt.timedelta(days=i) for i in range(90)]
        told = forecast(of_counts("x", dates, values, [500.0] * 90), candidates=DAILY)
        assert told.choice is not None
        taken += told.choice.name not in bt.SIMPLE
    # Three candidates at five percent each: 40 * 0.15 = 6 expected at most; 13 has a chance under one in a hundred.
    assert taken <= 13


def test_intervals_of_eighty_percent_hold_what_comes() -> None:
    inside = total = 0
    for seed in range(30):
        rng = np.random.default_rng(100 + seed)
        values = rng.binomial(800, 0.96, 97).astype(float)
        dates = [MONDAY + dt.timedelta(days=i) for i in range(90)]
        told = forecast(of_counts("x", dates, list(values[:90]), [800.0] * 90), candidates=DAILY)
        came = values[90:] / 800
        inside += int(((came >= told.low) & (came <= told.high)).sum())
        total += 7
    # 80 % of 210; two standard deviations of a binomial are 5.5 points.
    assert 0.72 <= inside / total <= 0.90


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=90),
    st.integers(0, 20),
)
def test_any_history_gives_yields_that_can_be(parts: list[tuple[int, int]], idle: int) -> None:
    frame = pd.DataFrame(
        {
            "level": "plant", "member": "p",
            "production_date": [MONDAY + dt.timedelta(days=i) for i in range(len(parts))],
            "good": [float(good) for good, _ in parts], "total": [float(good + bad) for good, bad in parts],
        }
    )  # fmt: skip
    rows = made(frame, len(parts) + idle)
    told = rows.dropna(subset=["expected_yield"])
    assert len(rows) == 7
    bounded = told.dropna(subset=["low_yield"])
    assert (told["low_yield"].isna() == told["high_yield"].isna()).all()
    assert (bounded["low_yield"] >= 0).all()
    assert (bounded["high_yield"] <= 1).all()
    assert (bounded["low_yield"] <= bounded["expected_yield"]).all()
    assert (bounded["expected_yield"] <= bounded["high_yield"]).all()
    assert told["expected_yield"].between(0, 1).all()
    assert (told["expected_yield"].isna() == told["null_reason"].notna().reindex(told.index)).all()


def test_forecasts_are_judged_on_what_came_true_beside_the_mean() -> None:
    came = pd.DataFrame(
        {"expected_yield": [0.9] * 40, "low_yield": [0.85] * 40, "high_yield": [0.95] * 40,
         "baseline_yield": [0.8] * 40, "actual": [0.9] * 20 + [0.96] * 20}
    )  # fmt: skip
    found = judged(came)
    assert found is not None
    assert (found.count, found.coverage) == (40, 0.5)
    assert (found.error, found.baseline_error) == pytest.approx((0.03, 0.13))
    assert judged(came.head(29)) is None


def test_models_of_a_library_forecast_the_same_figure_of_a_steady_series() -> None:
    from prodlytics.insights.forecasts.library import boosting, ets, prophet

    rng = np.random.default_rng(1)
    series = Series("x", MONDAY, 0.95 + rng.normal(0, 0.002, 60), np.full(60, 500.0))
    for candidate in (ets, prophet, boosting):
        assert candidate(series, 7) == pytest.approx([0.95] * 7, abs=0.006), candidate.__name__
