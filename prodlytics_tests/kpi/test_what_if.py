"""What if: hand calculation, laws, and an interval whose coverage is measured on a factory with a known truth."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodlytics.kpi.what_if import Answer, Interval, NotEnough, ratio_interval, t_quantile, what_if

MONDAY = dt.date(2026, 10, 5)
MIN = 60e6


def mondays(count: int) -> list[dt.date]:
    return [MONDAY + dt.timedelta(days=7 * n) for n in range(count)]


def elements(planned: list[float], good: list[float], lost: list[float], machine: str = "M1") -> pd.DataFrame:
    """Weeks in minutes; what is planned and not lost is run time; a tenth of what was made is rejected."""
    run = np.array(planned) - np.array(lost)
    return pd.DataFrame(
        {
            "machine_id": machine,
            "week": mondays(len(planned)),
            "planned_time_us": np.array(planned) * MIN,
            "run_time_us": run * MIN,
            "running_us": run * 0.9 * MIN,
            "ideal_time_us": np.array(good) / 0.9 * MIN,
            "ideal_good_time_us": np.array(good) * MIN,
            "good_count": np.array(good) * 2,
            "in_oee": True,
        }
    )


def lost(minutes: list[float], loss: str = "unplanned_stop", machine: str = "M1", rate: float = 2.0) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "machine_id": machine,
            "week": mondays(len(minutes)),
            "loss": loss,
            "loss_us": np.array(minutes) * MIN,
            "occurrences": np.array(minutes) / 10,
            "cost": np.array(minutes) * rate,
            "cost_reason": None,
        }
    )


PLANNED, GOOD, STOPS = [1000.0] * 4, [600.0, 640.0, 560.0, 600.0], [200.0, 160.0, 240.0, 200.0]


def answered(*args: Any, **more: Any) -> Answer:
    answer = what_if(*args, **more)
    assert isinstance(answer, Answer), answer
    return answer


def test_a_quarter_less_of_a_stop_by_hand() -> None:
    """4 weeks of 1,000 min, 800 of stops in all: run time 3,200, good 2,400, so 0.75 good minutes a minute run.

    A quarter less frees 50, 40, 60, 50 min: 37.5, 30, 45, 37.5 good minutes, in all 150 of 4,000: 3.75 points on 60 %.
    Standard deviation of the weeks' points: 3.75, 3.0, 4.5, 3.75 -> 0.6124; / 2 x t(3) 3.1824 = 0.9745.
    Money: 800 min at 2.00, a quarter a week 100; weeks 100, 80, 120, 100 -> 16.330 / 2 x 3.1824 = 25.98.
    """
    answer = answered(elements(PLANNED, GOOD, STOPS), lost(STOPS), mondays(4), 0.25)
    assert (answer.oee, answer.oee_then) == pytest.approx((0.6, 0.6375))
    assert answer.gain is not None
    assert answer.money is not None
    assert answer.parts is not None
    assert vars(answer.gain) == pytest.approx({"estimate": 0.0375, "low": 0.0375 - 0.009745, "high": 0.0375 + 0.009745},
                                              rel=2e-3)  # fmt: skip
    assert vars(answer.money) == pytest.approx({"estimate": 100, "low": 100 - 25.98, "high": 100 + 25.98}, rel=2e-3)
    # Two parts a good minute.
    assert answer.parts.estimate == pytest.approx(2 * 150 / 4)
    assert answer.freed_min == pytest.approx(50)
    assert answer.stops == pytest.approx(80)
    assert [week.lost_min for week in answer.weeks] == STOPS
    assert answer.weeks[0].oee_then == pytest.approx(0.6 + 0.0375)


@pytest.mark.parametrize(
    ("loss", "rate"),
    [
        ("changeover", 2400 / 3200),  # good per run time
        ("micro_stop", 2400 / (3200 * 0.9)),  # good per running time
        ("reduced_speed", 0.9),  # the time saved makes parts at their ideal cycle, nine of ten good
        ("defects", 1.0),  # a part that is not rejected is good
        ("startup", 1.0),
    ],
)
def test_freed_time_becomes_good_parts_at_the_demonstrated_rate(loss: str, rate: float) -> None:
    minutes = [40.0, 30.0, 50.0, 40.0]
    answer = answered(elements(PLANNED, GOOD, STOPS), lost(minutes, loss), mondays(4), 0.5)
    assert answer.gain is not None
    assert answer.gain.estimate == pytest.approx(80 * rate / 4000)


def test_elements_are_added_up_over_machines_never_percentages() -> None:
    """M2 has a tenth of the planned time and no such stop: 150 good minutes of 4,400, not a mean of two gains."""
    both = pd.concat([elements(PLANNED, GOOD, STOPS), elements([100.0] * 4, [90.0] * 4, [0.0] * 4, "M2")])
    answer = answered(both, lost(STOPS), mondays(4), 0.25)
    assert answer.gain is not None
    assert answer.gain.estimate == pytest.approx(150 / 4400)
    assert (answer.oee, answer.oee_then) == pytest.approx((2760 / 4400, 2910 / 4400))


def test_a_line_is_measured_by_its_bottleneck() -> None:
    """The loss is on M2, the line's OEE is M1's: money, but no OEE."""
    both = pd.concat([elements(PLANNED, GOOD, STOPS), elements(PLANNED, GOOD, STOPS, "M2").assign(in_oee=False)])
    answer = answered(both, lost(STOPS, machine="M2"), mondays(4), 0.25)
    assert answer.gain == Interval(0.0, 0.0, 0.0)
    assert answer.not_measured == ("M2",)
    assert answer.money is not None
    assert answer.money.estimate == pytest.approx(100)


def test_a_machine_without_an_ideal_cycle_is_left_out_of_the_oee() -> None:
    blank = elements(PLANNED, GOOD, STOPS, "M2").assign(ideal_time_us=np.nan, ideal_good_time_us=np.nan)
    both = pd.concat([elements(PLANNED, GOOD, STOPS), blank])
    answer = answered(both, pd.concat([lost(STOPS), lost(STOPS, machine="M2")]), mondays(4), 0.25)
    assert answer.left_out == ("M2",)
    assert answer.gain is not None
    assert answer.gain.estimate == pytest.approx(150 / 4000)
    alone = answered(blank, lost(STOPS, machine="M2"), mondays(4), 0.25)
    assert (alone.gain, alone.oee, alone.oee_reason) == (None, None, "no_ideal_cycle")
    assert alone.money is not None


def test_a_machine_that_never_ran_has_shown_no_rate() -> None:
    dead = elements(PLANNED, [0.0] * 4, PLANNED)
    answer = answered(dead, lost(PLANNED), mondays(4), 0.25)
    assert (answer.gain, answer.oee_reason) == (None, "no_run_time")


def test_without_rates_there_is_no_money() -> None:
    answer = answered(elements(PLANNED, GOOD, STOPS), lost(STOPS).assign(cost=np.nan), mondays(4), 0.25)
    assert answer.money is None


@pytest.mark.parametrize(
    ("weeks", "minutes", "reason", "missing"),
    [
        (2, [10.0, 20.0], "too_few_weeks", 2),
        (0, [], "too_few_weeks", 4),
        (4, [0.0] * 4, "never_happened", 0),
        (4, [1.0, 0.0, 99.0, 1.0], "one_week", 0),
        (4, [-10.0, 2.0, -5.0, 3.0], "not_a_loss", 0),
    ],
)
def test_not_enough_data_is_an_answer(weeks: int, minutes: list[float], reason: str, missing: int) -> None:
    shape = elements(PLANNED[:weeks], GOOD[:weeks], STOPS[:weeks])
    answer = what_if(shape, lost(minutes, "reduced_speed"), mondays(weeks), 0.33)
    assert isinstance(answer, NotEnough)
    assert (answer.reason, answer.missing, answer.weeks) == (reason, missing, weeks)


def test_a_reason_nobody_ever_gave_did_not_happen() -> None:
    answer = what_if(elements(PLANNED, GOOD, STOPS), lost([])[:0], mondays(4), 0.33)
    assert isinstance(answer, NotEnough)
    assert answer.reason == "never_happened"


def test_weeks_without_planned_time_do_not_count() -> None:
    holidays = elements([*PLANNED, 0.0], [*GOOD, 0.0], [*STOPS, 0.0])
    answer = answered(holidays, lost([*STOPS, 0.0]), mondays(5), 0.25)
    assert len(answer.weeks) == 4
    three = what_if(elements([*PLANNED[:3], 0.0], [*GOOD[:3], 0.0], [*STOPS[:3], 0.0]), lost(STOPS), mondays(4), 0.25)
    assert isinstance(three, NotEnough)
    assert three.missing == 1


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_outside_0_to_1_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        what_if(elements(PLANNED, GOOD, STOPS), lost(STOPS), mondays(4), share)


def test_time_that_cannot_be_judged_cannot_be_less() -> None:
    with pytest.raises(ValueError, match="ideal cycle"):
        what_if(elements(PLANNED, GOOD, STOPS), lost(STOPS, "no_ideal_cycle"), mondays(4), 0.5)


WEEKS = st.lists(
    st.tuples(st.floats(100, 7000), st.floats(0.05, 0.9), st.floats(0.01, 0.5)), min_size=4, max_size=10
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(weeks=WEEKS, shares=st.tuples(st.floats(0, 1), st.floats(0, 1)), loss=st.sampled_from(["micro_stop", "defects"]))
def test_more_of_it_brings_more_and_nothing_brings_nothing(weeks: Any, shares: tuple[float, float], loss: str) -> None:
    planned = [week[0] for week in weeks]
    good = [week[0] * week[1] for week in weeks]
    minutes = [week[0] * week[1] * week[2] * 0.1 for week in weeks]
    shape, gone = elements(planned, good, [0.0] * len(weeks)), lost(minutes, loss)
    told = [what_if(shape, gone, mondays(len(weeks)), share) for share in (0.0, *sorted(shares), 1.0)]
    if isinstance(told[0], NotEnough):
        assert told[0].reason == "one_week"
        return
    gains, money = [], []
    for answer in told:
        assert isinstance(answer, Answer)
        assert answer.gain is not None
        assert answer.money is not None
        assert answer.gain.low <= answer.gain.estimate <= answer.gain.high
        gains.append(answer.gain.estimate)
        money.append(answer.money.estimate)
    assert gains == sorted(gains)
    assert money == sorted(money)
    assert (gains[0], money[0]) == (0, 0)
    # All of it: OEE as if the loss had never been, from the elements alone.
    each = 1.0 if loss == "defects" else sum(good) / (0.9 * sum(planned))
    assert gains[-1] == pytest.approx(sum(minutes) * each / sum(planned))
    assert money[-1] == pytest.approx(sum(minutes) * 2 / len(weeks))


def test_quantiles_are_those_of_the_printed_table() -> None:
    """Two-sided 95 %, as in every book: 3, 4, 7, 10, 30, 100 degrees of freedom."""
    printed = {3: 3.182, 4: 2.776, 7: 2.365, 10: 2.228, 30: 2.042, 100: 1.984}
    for freedom, quantile in printed.items():
        assert t_quantile(freedom) == pytest.approx(quantile, rel=2e-3)


def stopping_plant(rng: np.random.Generator, weeks: int, per_week: float) -> tuple[Any, Any, Any]:
    """A machine that stops at random: Poisson many stops a week, exponential 30 min each, planned time that varies.

    Returns:
        Planned minutes, lost minutes, good minutes of each week; 0.7 good minutes a minute run, give or take.
    """
    planned = rng.uniform(4800, 7200, weeks)
    count = rng.poisson(per_week * planned / 6000)
    stopped = np.array([rng.exponential(30.0, n).sum() for n in count])
    good = (planned - stopped) * rng.normal(0.7, 0.02, weeks)
    return planned, stopped, good


@pytest.mark.parametrize(("weeks", "per_week", "low", "high"), [(4, 12, 0.90, 0.98), (8, 12, 0.91, 0.98),
                                                                (8, 4, 0.88, 0.98), (26, 12, 0.92, 0.98)])  # fmt: skip
def test_the_interval_covers_the_truth_as_often_as_it_says(
    weeks: int, per_week: float, low: float, high: float
) -> None:
    """2,000 plants whose truth is known: a third less brings 1/3 x 30 min x stops per minute planned x 0.7.

    Weeks of compound Poisson stops are skewed, so a little less than 95 % is what a t interval can do.
    """
    rng = np.random.default_rng(20261123)
    truth = 30 * per_week / 6000 * 0.7 / 3
    covered = 0
    for _ in range(2000):
        planned, stopped, good = stopping_plant(rng, weeks, per_week)
        rate = good.sum() / (planned - stopped).sum()
        interval = ratio_interval(stopped * rate / 3, planned)
        covered += interval.low <= truth <= interval.high
    assert low <= covered / 2000 <= high, covered / 2000


def test_the_answer_has_that_interval() -> None:
    """The whole way on some of these plants: the same interval as from its definition."""
    rng = np.random.default_rng(7)
    for _ in range(20):
        planned, stopped, good = stopping_plant(rng, 8, 12)
        shape = elements(list(planned), list(good), list(stopped))
        answer = answered(shape, lost(list(stopped)), mondays(8), 1 / 3)
        rate = good.sum() / (planned - stopped).sum()
        expected = ratio_interval(stopped * rate / 3, planned)
        assert answer.gain is not None
        assert answer.gain.estimate == pytest.approx(expected.estimate)
        assert answer.gain.high == pytest.approx(expected.high)
        assert answer.gain.low == pytest.approx(max(0.0, expected.low))


def test_the_variance_of_a_ratio_is_the_textbooks() -> None:
    """By hand: y 1, 2, 3; x 2, 4, 4: R = 0.6, residuals -0.2, -0.4, 0.6, variance 0.28/1, se sqrt(0.28/3)/(10/3)."""
    interval = ratio_interval(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 4.0]))
    error = np.sqrt(0.56 / 2 / 3) / (10 / 3)
    assert interval.estimate == pytest.approx(0.6)
    assert interval.high - 0.6 == pytest.approx(t_quantile(2) * error)
