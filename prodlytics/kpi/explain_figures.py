"""An hour's figures a second time, from the intervals and counts that are shown to people.

Belongs here: adding up and dividing with exact fractions, the formulas with numbers filled in, the comparison with the
stored row. Does not belong here: finding intervals and counts (`explain`).

On purpose this shares no code with `elements` and `oee`: it is what a careful person with a calculator would do, so
that a stored row which is not the sum of its parts is seen. The formulas are those of ISO 22400-2.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prodlytics.kpi.explained import Count, Interval
    from prodlytics.plant.model import Convention

BUCKETS = ("running", "micro_stop", "failure", "changeover", "other_stop", "planned_stop", "break", "not_scheduled",
           "unknown")  # fmt: skip
#: Why parts of a break are outside OEE.
OFF_PLAN = "made in a break or outside the plan, which the convention keeps out of OEE"
#: Buckets that are run time.
RUN = ("running", "micro_stop")
#: Float sums of the table against exact ones; a part in a thousand million is no difference.
RELATIVE = 1e-9
#: Columns of oee_hourly that are compared.
_NUMBERS = ("oee", "availability", "performance", "quality", "good_count", "reject_count", "rework_count",
            "gap_good_count", "gap_reject_count", "off_plan_good_count", "off_plan_reject_count",
            "off_plan_run_us", "planned_time_us", "run_time_us", "ideal_time_us",
            "ideal_good_time_us", *(f"{bucket}_us" for bucket in BUCKETS))  # fmt: skip
_RATIOS = ("oee", "availability", "performance", "quality")


@dataclass(frozen=True)
class Figures:
    """Elements and ratios of an hour; None where a ratio cannot be computed."""

    buckets_us: dict[str, int]
    planned_time_us: int
    run_time_us: int
    ideal_time_us: Fraction | None
    ideal_good_time_us: Fraction | None
    good_count: Fraction
    reject_count: Fraction
    rework_count: Fraction
    gap_good_count: Fraction
    gap_reject_count: Fraction
    off_plan_good_count: Fraction
    off_plan_reject_count: Fraction
    off_plan_run_us: int
    availability: Fraction | None
    performance: Fraction | None
    quality: Fraction | None
    oee: Fraction | None
    null_reason: str | None

    def value(self, column: str) -> Fraction | int | None:
        """The figure that is stored in this column of `oee_hourly`."""
        bucket = column.removesuffix("_us")
        found: Fraction | int | None = self.buckets_us[bucket] if bucket in self.buckets_us else getattr(self, column)
        return found


@dataclass(frozen=True)
class Formula:
    """A figure, how it is computed (empty where the numbers say it), the numbers filled in, and what comes out."""

    name: str
    rule: str
    filled_in: str
    result: str


@dataclass(frozen=True)
class Difference:
    """A column of the stored row that is not what the parts give."""

    column: str
    stored: Any
    from_parts: Any

    def as_text(self) -> str:
        """E.g. oee stored 71.20 %, from its parts 69.80 %."""
        return (
            f"{self.column} stored {shown(self.column, self.stored)}, from its parts "
            f"{shown(self.column, self.from_parts)}"
        )


def off_plan_lines(convention: Convention) -> tuple[str, ...]:
    """Lines of the calendar in which running is outside OEE."""
    if convention.break_running == "planned":
        return ()
    return ("break", "not_scheduled", *(("planned_stop",) if convention.planned_stops == "excluded" else ()))


def planned_buckets(convention: Convention) -> tuple[str, ...]:
    """The buckets that are planned time under a convention, in the order of `BUCKETS`."""
    excluded = {"break", "not_scheduled"}
    for bucket, choice in (
        ("changeover", convention.changeover),
        ("planned_stop", convention.planned_stops),
        ("unknown", convention.unknown),
    ):
        if choice == "excluded":
            excluded.add(bucket)
    return tuple(bucket for bucket in BUCKETS if bucket not in excluded)


def add_up(intervals: Iterable[Interval], counts: Iterable[Count], convention: Convention) -> Figures:
    """Elements and ratios from what is listed.

    Args:
        intervals: The hour's intervals.
        counts: The hour's counts; those kept out of OEE go to the gap counts, rework with the rejects.
        convention: Which buckets are planned time, and whether rework is good.
    """
    buckets = dict.fromkeys(BUCKETS, 0)
    spans = list(intervals)
    for interval in spans:
        buckets[interval.bucket] += interval.duration_us
    off_lines = off_plan_lines(convention)
    off_us = sum(one.duration_us for one in spans if one.bucket == "running" and one.plan in off_lines)
    planned = sum(buckets[bucket] for bucket in planned_buckets(convention)) - off_us
    run = sum(buckets[bucket] for bucket in RUN) - off_us
    listed = list(counts)
    seen = [count for count in listed if count.kept_out is None]
    off = [count for count in listed if count.kept_out == OFF_PLAN]
    missed = [count for count in listed if count.kept_out not in (None, OFF_PLAN)]
    ideal = _ideal_us((count.pieces, count.ideal_cycle_ms) for count in seen)
    right = [(_right(count, convention), count.ideal_cycle_ms) for count in seen]
    ideal_good, good_pieces = _ideal_us(right), sum((pieces for pieces, _ in right), Fraction(0))
    made = sum((count.pieces for count in seen), Fraction(0))
    return Figures(
        buckets_us=buckets,
        planned_time_us=planned,
        run_time_us=run,
        ideal_time_us=ideal,
        ideal_good_time_us=ideal_good,
        good_count=sum((count.good for count in seen), Fraction(0)),
        reject_count=sum((count.reject for count in seen), Fraction(0)),
        rework_count=sum((count.rework for count in seen), Fraction(0)),
        gap_good_count=sum((count.good for count in missed), Fraction(0)),
        gap_reject_count=sum((count.reject + count.rework for count in missed), Fraction(0)),
        off_plan_good_count=sum((count.good for count in off), Fraction(0)),
        off_plan_reject_count=sum((count.reject + count.rework for count in off), Fraction(0)),
        off_plan_run_us=off_us,
        availability=_divide(run, planned),
        performance=_divide(ideal, run) if planned else None,
        quality=_quality(ideal, ideal_good, good_pieces, made) if planned else None,
        oee=_divide(ideal_good, planned),
        null_reason=_null_reason(planned, run, ideal, made, buckets["unknown"]),
    )


def _right(count: Count, convention: Convention) -> Fraction:
    return count.good + count.rework if convention.rework_is_good else count.good


def _ideal_us(parts: Iterable[tuple[Fraction, float | None]]) -> Fraction | None:
    """Ideal time of parts in microseconds; None where one of them has no ideal cycle."""
    total = Fraction(0)
    for pieces, cycle_ms in parts:
        if pieces and cycle_ms is None:
            return None
        if pieces and cycle_ms is not None:
            total += pieces * Fraction(cycle_ms) * 1000
    return total


def _divide(part: Fraction | int | None, whole: Fraction | int | None) -> Fraction | None:
    return None if part is None or not whole else Fraction(part) / Fraction(whole)


def _quality(ideal: Fraction | None, ideal_good: Fraction | None, good: Fraction, made: Fraction) -> Fraction | None:
    if not made:
        return None
    # By time, so that the three multiply; by pieces where there is no ideal time to go by.
    return _divide(ideal_good, ideal) if ideal else _divide(good, made)


def _null_reason(planned: int, run: int, ideal: Fraction | None, made: Fraction, unknown: int) -> str | None:
    if not planned:
        return "no_data" if unknown else "no_planned_time"
    if not made:
        return "no_parts"
    if ideal is None:
        return "no_ideal_cycle"
    return None if run else "no_run_time"


def formulas(figures: Figures, counts: Iterable[Count], convention: Convention) -> tuple[Formula, ...]:
    """The figures as a person writes them down, in the order in which they are computed."""
    buckets, seen = dict(figures.buckets_us), [count for count in counts if count.kept_out is None]
    buckets["running"] -= figures.off_plan_run_us
    planned = planned_buckets(convention)
    right = "good + rework" if convention.rework_is_good else "good"
    product = _product(figures)
    lines = [
        _sum("Planned time", [(label(bucket), buckets[bucket]) for bucket in planned], figures.planned_time_us),
        _sum("Run time", [(label(bucket), buckets[bucket]) for bucket in RUN], figures.run_time_us),
        _ideal("Ideal time", [(one.pieces, one.ideal_cycle_ms) for one in seen], figures.ideal_time_us),
        _ideal(f"Ideal time, {right}", [(_right(one, convention), one.ideal_cycle_ms) for one in seen],
               figures.ideal_good_time_us),
        _ratio("Availability", "run time / planned time", figures.run_time_us, figures.planned_time_us,
               figures.availability),
        _ratio("Performance", "ideal time of all parts / run time", figures.ideal_time_us, figures.run_time_us,
               figures.performance),
        _quality_line(figures, right),
        _ratio("OEE", f"ideal time of {right} parts / planned time", figures.ideal_good_time_us,
               figures.planned_time_us, figures.oee),
    ]  # fmt: skip
    if product is not None:
        lines.append(
            Formula(
                "cross-check",
                "availability x performance x quality",
                f"{percent(figures.availability)} x {percent(figures.performance)} x {percent(figures.quality)}",
                f"{percent(product)}, the same" if product == figures.oee else percent(product),
            )
        )
    return tuple(lines)


def _sum(name: str, terms: list[tuple[str, int]], total: int) -> Formula:
    filled_in = " + ".join(f"{term} {seconds(value)}" for term, value in terms if value)
    return Formula(name, "", filled_in or f"nothing of {', '.join(term for term, _ in terms)}", seconds(total))


def _ideal(name: str, parts: Iterable[tuple[Fraction, float | None]], total: Fraction | None) -> Formula:
    by_cycle: dict[float | None, Fraction] = defaultdict(Fraction)
    for number, cycle_ms in parts:
        by_cycle[cycle_ms] += number
    terms = [
        f"{pieces(number)} parts x {'no ideal cycle' if cycle_ms is None else seconds(Fraction(cycle_ms) * 1000)}"
        for cycle_ms, number in sorted(by_cycle.items(), key=lambda term: (term[0] is None, term[0] or 0))
        if number
    ]
    return Formula(name, "", " + ".join(terms) or "no parts", seconds(total))


def _quality_line(figures: Figures, right: str) -> Formula:
    if figures.ideal_time_us:
        return _ratio("Quality", f"ideal time of {right} parts / ideal time of all parts", figures.ideal_good_time_us,
                      figures.ideal_time_us, figures.quality)  # fmt: skip
    made = figures.good_count + figures.reject_count + figures.rework_count
    good = figures.good_count + figures.rework_count if "rework" in right else figures.good_count
    return Formula("Quality", f"{right} / all parts", f"{pieces(good)} / {pieces(made)}", percent(figures.quality))


def _product(figures: Figures) -> Fraction | None:
    if figures.availability is None or figures.performance is None or figures.quality is None:
        return None
    return figures.availability * figures.performance * figures.quality


def _ratio(
    name: str, rule: str, part: Fraction | int | None, whole: Fraction | int | None, result: Fraction | None
) -> Formula:
    return Formula(name, rule, f"{seconds(part)} / {seconds(whole)}", percent(result))


def differences(stored: Mapping[str, Any], figures: Figures) -> list[Difference]:
    """Where a row of `oee_hourly` is not what its parts give; the ratios first."""
    found = [
        Difference(column, stored[column], None if (own := figures.value(column)) is None else float(own))
        for column in _NUMBERS
        if not _same(stored[column], figures.value(column))
    ]
    if stored["null_reason"] != figures.null_reason:
        found.append(Difference("null_reason", stored["null_reason"], figures.null_reason))
    return found


def _same(stored: Any, own: Fraction | int | None) -> bool:
    if stored is None or own is None:
        return stored is None and own is None
    if isinstance(own, int):
        return bool(stored == own)
    # Ideal times were added up, and ratios divided, as floats.
    return math.isclose(float(stored), float(own), rel_tol=RELATIVE, abs_tol=1e-12)


def shown(column: str, value: Any) -> str:
    """A value of `oee_hourly` with its unit."""
    if value is None:
        return "empty"
    if column not in _NUMBERS:
        return str(value)
    # The decimal number the float stands for, so that 0.86625 is rounded as it is on paper.
    number = Fraction(str(value))
    if column in _RATIOS:
        return percent(number)
    return seconds(number) if column.endswith("_us") else pieces(number)


def label(bucket: str) -> str:
    """A bucket as people write it."""
    return "micro-stop" if bucket == "micro_stop" else bucket.replace("_", " ")


def seconds(microseconds: Fraction | int | None) -> str:
    """Microseconds as seconds, with as many decimals as there are, at most six: 3,120 s, 12.5 s."""
    return "not known" if microseconds is None else f"{decimal(Fraction(microseconds) / 1_000_000, 6)} s"


def percent(share: Fraction | None) -> str:
    """A ratio with two decimals."""
    return "empty" if share is None else f"{decimal(share * 100, 2, whole=False)} %"


def pieces(count: Fraction) -> str:
    """Parts; decimals only where there are some."""
    return decimal(count, 6)


def decimal(value: Fraction, digits: int, *, whole: bool = True) -> str:
    """A number with thousands separated, rounded half up as on paper; trailing zeros are dropped when `whole`."""
    units = math.floor(abs(value) * 10**digits + Fraction(1, 2))
    sign, text = "-" if value < 0 and units else "", f"{units}".rjust(digits + 1, "0")
    left, right = (text[:-digits], text[-digits:]) if digits else (text, "")
    right = right.rstrip("0") if whole else right
    return f"{sign}{int(left):,}" + (f".{right}" if right else "")
