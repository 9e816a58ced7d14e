"""What a share less of one loss would bring: OEE, good parts and money per week.

Belongs here: turning freed time into good parts, the interval from the variation between weeks, saying when the weeks
do not support an answer. Does not belong here: which rows are meant (`ops.what_if`), words (`report.what_if_text`).

From elements, week by week and machine by machine: OEE is good parts at their ideal cycle over planned time, and what
is freed becomes good parts at the rate the machine has shown in these weeks.
- A stop of some minutes less is run time, at good ideal time per run time (performance and quality as they were).
- A micro-stop less is running time, at good ideal time per running time.
- Reduced speed: the time saved makes parts at their ideal cycle, good ones in the share they were.
- A rejected part less is a good part.
Money is what that share of the loss has cost. Percentages are never added.

The interval is a t interval over whole weeks, each week one observation: what happens inside a week may depend on each
other as it will. A bootstrap of so few weeks is too narrow (of four weeks its spread is 13 % too small before it even
begins), and it would need a seed. OEE is a ratio of two sums over weeks, so its residuals are those of the ratio
(Cochran, Sampling Techniques, 1977, chapter 6). The interval is about the mean week, as if the weeks to come were like
those that were.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
import pandas as pd

from prodlytics.kpi.losses import US_PER_MINUTE
from prodlytics.kpi.spans import FloatArray

#: Whole weeks with planned time below which there is no answer.
MIN_WEEKS = 4
#: One week with more than this share of a loss says something of that week, nothing of the next one.
ONE_WEEK_SHARE = 0.8
CONFIDENCE = 0.95
#: Fewer stops than this in all the weeks: they are so skewed that a 95 % interval holds in about 87 of 100 cases.
FEW_STOPS = 20
#: What the demonstrated rate of a machine is a ratio of: good ideal time to this.
_RATE_OF = {
    "unplanned_stop": "run_time_us",
    "changeover": "run_time_us",
    "planned_stop": "run_time_us",
    "unknown": "run_time_us",
    "micro_stop": "running_us",
    "reduced_speed": "ideal_time_us",
    "defects": "ideal_good_time_us",
    "startup": "ideal_good_time_us",
}
#: Losses that can be less.
ANSWERABLE = tuple(_RATE_OF)

Missing = Literal["too_few_weeks", "never_happened", "not_a_loss", "one_week"]


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Week:
    """One whole week: what was lost, OEE as it was and as it would have been, money (None where nothing is known)."""

    monday: dt.date
    lost_min: float
    oee: float | None
    oee_then: float | None
    cost: float | None


@dataclass(frozen=True)
class Answer:
    """What it would bring, per week on average.

    Attributes:
        share: How much less, 0 to 1.
        freed_min: Minutes of the loss that would not have been, per week; parts of `parts` for rejects included.
        oee: OEE of all the weeks as it was; None with `oee_reason`.
        oee_then: The same without the share of the loss.
        gain: OEE gained, as a difference of ratios.
        parts: Good parts more per week.
        money: What would not have been lost per week, in the plant's currency; None where no cost is known.
        stops: How many stops it was in all the weeks; None for what is not stops.
        money_is_partial: Some of the cost is not known, so the money is too low.
        left_out: Machines whose freed time is not in the OEE: they have no ideal cycle, or never ran.
        not_measured: Machines with the loss on which the line's OEE does not depend.
    """

    share: float
    weeks: tuple[Week, ...]
    freed_min: float
    oee: float | None
    oee_then: float | None
    oee_reason: str | None
    gain: Interval | None
    parts: Interval | None
    money: Interval | None
    stops: float | None
    money_is_partial: bool
    left_out: tuple[str, ...]
    not_measured: tuple[str, ...]


@dataclass(frozen=True)
class NotEnough:
    """Why there is no answer. `weeks`: whole weeks with planned time; `missing`: how many more are needed at least."""

    reason: Missing
    weeks: int
    missing: int
    mondays: tuple[dt.date, ...]


def what_if(elements: pd.DataFrame, lost: pd.DataFrame, mondays: Sequence[dt.date], share: float) -> Answer | NotEnough:
    """What a share less of one loss would bring.

    Args:
        elements: One row per machine and week: machine_id, week (Monday), planned_time_us, run_time_us, running_us,
            ideal_time_us, ideal_good_time_us (missing where a part has no ideal cycle), good_count, and in_oee: whether
            the OEE asked for is measured by this machine in this week.
        lost: The loss asked about, rows of machine_id, week, loss, loss_us, occurrences, cost (missing where not
            known) and cost_reason, any number of them.
        mondays: The whole weeks to look at; those without planned time do not count.
        share: How much less, 0 to 1.

    Raises:
        ValueError: The share is not between 0 and 1, or the loss is none that can be less.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"a share is between 0 and 1, not {share}")
    if not lost["loss"].isin(ANSWERABLE).all():
        raise ValueError("running time without an ideal cycle cannot be less: it is not known what of it is a loss")
    elements = elements[elements["week"].isin(mondays)]
    planned = elements.groupby("week")["planned_time_us"].sum()
    weeks = sorted(planned[planned > 0].index)
    elements, lost = elements[elements["week"].isin(weeks)], lost[lost["week"].isin(weeks)]
    problem = _problem(lost, weeks)
    if problem is not None:
        return problem
    return _answer(elements, lost, weeks, share)


def mean_interval(values: FloatArray) -> Interval:
    """The t interval of the mean of independent observations, at least two."""
    return ratio_interval(values, np.ones(len(values)))


def ratio_interval(parts: FloatArray, wholes: FloatArray) -> Interval:
    """The t interval of sum(parts) / sum(wholes), each pair one observation, at least two."""
    count = len(parts)
    ratio = float(parts.sum() / wholes.sum())
    residuals = parts - ratio * wholes
    error = float(np.sqrt((residuals**2).sum() / (count - 1) / count) / wholes.mean())
    reach = t_quantile(count - 1) * error
    return Interval(ratio, ratio - reach, ratio + reach)


def t_quantile(freedom: int) -> float:
    """Quantile of Student's t for a two-sided 95 % interval.

    Expansion 26.7.5 of Abramowitz and Stegun, Handbook of Mathematical Functions (1964); from three degrees of freedom
    on right to 0.2 %.
    """
    z: float = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / freedom**power for power, term in enumerate(terms, start=1))


def _problem(lost: pd.DataFrame, weeks: list[dt.date]) -> NotEnough | None:
    found = len(weeks), max(0, MIN_WEEKS - len(weeks)), tuple(weeks)
    if len(weeks) < MIN_WEEKS:
        return NotEnough("too_few_weeks", *found)
    of_week = lost.groupby("week")[["loss_us", "cost"]].sum()
    # Scrap made while nobody knew the state has a cost and no time.
    measured = of_week["loss_us"] if of_week["loss_us"].any() else of_week["cost"]
    total = float(measured.sum())
    if not len(of_week) or total == 0:
        return NotEnough("never_happened", *found)
    if total < 0:
        return NotEnough("not_a_loss", *found)
    if float(measured.max()) > ONE_WEEK_SHARE * total:
        return NotEnough("one_week", *found)
    return None


def _answer(elements: pd.DataFrame, lost: pd.DataFrame, weeks: list[dt.date], share: float) -> Answer:
    elements, left_out = _with_an_oee(elements)
    measured = elements[elements["in_oee"]]
    asked = set(lost.loc[lost["loss_us"] != 0, "machine_id"])
    freed = lost.groupby(["machine_id", "week", "loss"])[["loss_us"]].sum().reset_index()
    freed["gain_us"] = share * freed["loss_us"] * _rates(measured, freed)
    unknown = sorted(set(freed.loc[freed["gain_us"].isna(), "machine_id"]) & set(measured["machine_id"]))
    freed = freed.merge(measured[["machine_id", "week"]], on=["machine_id", "week"]).dropna(subset=["gain_us"])
    per_part = measured.groupby("machine_id")[["good_count", "ideal_good_time_us"]].sum()
    parts_per_us = (per_part["good_count"] / per_part["ideal_good_time_us"]).where(per_part["ideal_good_time_us"] > 0)
    # A machine without a good part has shown no rate, so it gains no time: no parts is the answer, not a guess.
    freed = freed.assign(parts=freed["gain_us"] * freed["machine_id"].map(parts_per_us).fillna(0.0))

    def by_week(frame: pd.DataFrame, column: str) -> FloatArray:
        return frame.groupby("week")[column].sum().reindex(weeks, fill_value=0.0).to_numpy(dtype=np.float64)

    planned, good = by_week(measured, "planned_time_us"), by_week(measured, "ideal_good_time_us")
    gain, parts, lost_us = by_week(freed, "gain_us"), by_week(freed, "parts"), by_week(lost, "loss_us")
    known = lost[lost["cost"].notna()]
    cost = by_week(known, "cost") if len(known) else np.full(len(weeks), np.nan)
    has_oee = planned.sum() > 0 and not (asked and asked <= {*left_out, *unknown})
    whole = float(good.sum() / planned.sum()) if has_oee else None
    interval = _not_below_zero(ratio_interval(gain, planned), lost) if has_oee else None
    return Answer(
        share=share,
        weeks=_weeks(weeks, lost_us, planned, good, gain, cost),
        freed_min=float(share * lost_us.sum() / len(weeks) / US_PER_MINUTE),
        oee=whole,
        oee_then=None if whole is None else float((good.sum() + gain.sum()) / planned.sum()),
        oee_reason=None if has_oee else "no_ideal_cycle" if asked & set(left_out) else "no_run_time",
        gain=interval,
        parts=_not_below_zero(mean_interval(parts), lost) if has_oee else None,
        money=_not_below_zero(mean_interval(share * cost), lost) if len(known) else None,
        stops=_stops(lost),
        money_is_partial=bool(lost["cost_reason"].notna().any()),
        left_out=tuple(sorted({*left_out, *unknown})),
        not_measured=tuple(sorted(asked - set(measured["machine_id"]) - set(left_out))),
    )


def _with_an_oee(elements: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Without machines that have parts without an ideal cycle: what they made is not known in time."""
    blank = elements["in_oee"] & elements["ideal_good_time_us"].isna()
    left_out = sorted(set(elements.loc[blank, "machine_id"]))
    return elements[~elements["machine_id"].isin(left_out)], left_out


def _rates(measured: pd.DataFrame, freed: pd.DataFrame) -> FloatArray:
    """Good ideal time each machine has shown per microsecond freed of each loss, over all weeks; NaN if it never ran.

    A part that is not rejected is a good part: there the rate is 1, whatever else the machine made.
    """
    sums = measured.groupby("machine_id")[[*dict.fromkeys(_RATE_OF.values())]].sum()
    rates = np.full(len(freed), np.nan)
    for number, (machine, loss) in enumerate(zip(freed["machine_id"], freed["loss"], strict=True)):
        if loss in ("defects", "startup"):
            rates[number] = 1.0
        elif machine in sums.index and sums.loc[machine, _RATE_OF[loss]] > 0:
            rates[number] = sums.loc[machine, "ideal_good_time_us"] / sums.loc[machine, _RATE_OF[loss]]
    return rates


def _not_below_zero(interval: Interval, lost: pd.DataFrame) -> Interval:
    """Less of a loss does no harm; only reduced speed can be a gain in some weeks."""
    if (lost["loss"] == "reduced_speed").any():
        return interval
    return Interval(interval.estimate, max(0.0, interval.low), interval.high)


def _stops(lost: pd.DataFrame) -> float | None:
    stops = lost[lost["loss"].isin(("unplanned_stop", "changeover", "micro_stop", "planned_stop"))]
    return float(stops["occurrences"].sum()) if len(stops) == len(lost) else None


def _weeks(
    weeks: list[dt.date], lost: FloatArray, planned: FloatArray, good: FloatArray, gain: FloatArray, cost: FloatArray
) -> tuple[Week, ...]:
    return tuple(
        Week(
            monday=monday,
            lost_min=float(lost[n] / US_PER_MINUTE),
            oee=float(good[n] / planned[n]) if planned[n] > 0 else None,
            oee_then=float((good[n] + gain[n]) / planned[n]) if planned[n] > 0 else None,
            cost=None if np.isnan(cost[n]) else float(cost[n]),
        )
        for n, monday in enumerate(weeks)
    )
