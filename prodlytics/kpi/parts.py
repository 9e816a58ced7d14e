"""Counters of one machine to parts of one kind.

Belongs here: reading each counter tag, what one counter says that no tag counts (good is total less reject), across
which silence parts were counted. Does not belong here: what a reading means (`counters`), rows (`events`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from prodlytics.kpi import rates, spans
from prodlytics.kpi.counters import NEAR, Counts, Kind, Readings, count_cumulative, count_increments, value_range
from prodlytics.kpi.derived import Refused
from prodlytics.kpi.samples import Tag
from prodlytics.plant.model import Counter, Machine, Plant

#: Kinds of reading that are put aside: reason, and what became of them.
REFUSED = {
    int(Kind.JUMP): ("implausible_count", "more than the machine can make in that time; counting goes on from it"),
    int(Kind.SPIKE): ("implausible_count", "more than the machine can make in that time, and gone again; ignored"),
    int(Kind.NEGATIVE): ("negative_count", "fewer than none cannot have been made; ignored"),
    int(Kind.SET_BACK): ("counter_set_back", "lower, and neither a rollover nor a reset; counting goes on from it"),
}


@dataclass(frozen=True)
class Series:
    """What one counter tag says.

    Attributes:
        metric: The tag.
        counted: good, reject, rework, total or cycles.
        time: Time of each reading, microseconds.
        parts: Parts each reading shows.
        kind: `counters.Kind` of each reading.
        since: Time of the reading before; `spans.MISSING` for none.
        lost: Spans (starts, ends) between two readings in which the source said that it had no value.
        cumulative: Whether parts may have been made at any time since; an increment says when itself.
    """

    metric: str
    counted: str
    time: spans.IntArray
    parts: npt.NDArray[np.float64]
    kind: npt.NDArray[np.int8]
    since: spans.IntArray
    lost: tuple[spans.IntArray, spans.IntArray]
    cumulative: bool


def read_counters(
    plant: Plant, machine: Machine, counters: Iterable[Counter], tags: dict[str, Tag], silence_us: float
) -> tuple[list[Series], list[Refused]]:
    """Every given counter that has samples, and the readings that make no sense.

    Args:
        plant: Ideal cycles decide what is plausible.
        machine: Whose counters they are.
        counters: Some or all of its counters.
        tags: Samples by metric.
        silence_us: For how long a source may say that it has no value before what follows is an estimate.
    """
    series, refused = [], []
    for counter in counters:
        if counter.metric in tags:
            one, bad = _read(plant, machine, counter, tags[counter.metric], silence_us)
            series.append(one)
            refused += bad
    return series, refused


def _read(
    plant: Plant, machine: Machine, counter: Counter, tag: Tag, silence_us: float
) -> tuple[Series, list[Refused]]:
    low, high = value_range(counter.width_bits, counter.signed)
    is_increment = counter.kind == "increment"
    # An increment below zero is refused with its own words.
    outside = tag.measured & ((tag.value < low) | (tag.value >= high)) & (not is_increment)
    rows = np.flatnonzero(tag.measured & ~outside)
    time, value = tag.time[rows], tag.value[rows]
    readings = Readings(
        time,
        value,
        rates.plausible_rate(plant, machine, time),
        None if counter.width_bits is None else high - low,
    )
    counts = count_increments(readings) if is_increment else count_cumulative(readings)
    since = np.where(counts.before >= 0, time[counts.before], spans.MISSING) if len(time) else time
    refused = _refused(counter, time, value, counts) + [
        _outside(counter, int(tag.time[row]), float(tag.value[row]))
        for row in _first_of_each_run(outside, tag.measured)
    ]
    lost = _lost(tag, rows, silence_us)
    return Series(
        counter.metric, counter.counts, time, counts.parts, counts.kind, since, lost, not is_increment
    ), refused


def _first_of_each_run(outside: spans.BoolArray, measured: spans.BoolArray) -> spans.IntArray:
    """Where values outside the counter's range begin: a wrong width concerns every reading, but is told once."""
    rows = np.flatnonzero(measured)
    begins = outside[rows]
    begins[1:] &= ~outside[rows[:-1]]
    return rows[begins]


def _lost(tag: Tag, rows: spans.IntArray, silence_us: float) -> tuple[spans.IntArray, spans.IntArray]:
    """Spans between readings `rows` that have other samples between them and are longer than a silence may be."""
    time = tag.time[rows]
    lost = (np.diff(rows) > 1) & (np.diff(time) > silence_us)
    return time[:-1][lost], time[1:][lost]


def _refused(counter: Counter, time: spans.IntArray, value: npt.NDArray[np.float64], counts: Counts) -> list[Refused]:
    rows = np.flatnonzero(np.isin(counts.kind, list(REFUSED)))
    # The newest readings may yet turn out to be late ones; then there is nothing to complain of.
    rows = rows[(counts.kind[rows] != Kind.SET_BACK) | (rows + NEAR <= len(time) - 1)]
    refused = []
    for row in rows.tolist():
        reason, what = REFUSED[int(counts.kind[row])]
        before = int(counts.before[row])
        old = float(value[before]) if before >= 0 else None
        compared = f"{value[row]:.15g}" + ("" if old is None else f" after {old:.15g}")
        refused.append(
            Refused(
                int(time[row]),
                reason,
                f"{counter.metric} showed {compared}: {what}",
                {"metric": counter.metric, "value": float(value[row]), "value_before": old},
            )
        )
    return refused


def _outside(counter: Counter, at: int, value: float) -> Refused:
    low, high = value_range(counter.width_bits, counter.signed)
    return Refused(
        at,
        "outside_counter_range",
        f"{counter.metric} showed {value:.15g}, but the plant file says it counts from {low:.15g} to {high - 1:.15g};"
        " look at width_bits and signed",
        {"metric": counter.metric, "value": value},
    )


def complemented(series: Sequence[Series]) -> tuple[list[Series], list[Refused]]:
    """Good, reject and rework, each counted once; cycles and a total that says nothing new are left out.

    Without a tag for good parts the total less what is known to be bad is good; without one for rejects the total less
    what is known to be good is rejected. A part that is counted bad within `NEAR` readings of being counted at all is
    taken from those readings.
    """
    has = {one.counted: one for one in series}
    kept = [one for one in series if one.counted in ("good", "reject", "rework")]
    total = has.get("total")
    missing = "good" if "good" not in has else "reject"
    if total is None or missing in has:
        return kept, []
    parts, short = _less(total, kept)
    refused = [
        Refused(
            int(total.time[row]),
            "counted_but_not_made",
            f"{amount:.15g} parts were counted that {total.metric} did not show around that time; "
            f"they are not taken off {missing}",
            {"metric": total.metric, "parts": amount},
        )
        for row, amount in short
    ]
    return [*kept, replace(total, counted=missing, parts=parts)], refused


def _less(total: Series, known: Sequence[Series]) -> tuple[npt.NDArray[np.float64], list[tuple[int, float]]]:
    """Parts of the total at each reading less the known ones; what could not be taken off, by reading."""
    left = total.parts.copy()
    if not len(left):
        return left, []
    for one in known:
        rows = np.flatnonzero((one.parts > 0) & (one.time > total.time[0]))
        at = np.minimum(np.searchsorted(total.time, one.time[rows], side="left"), len(left) - 1)
        np.subtract.at(left, at, one.parts[rows])
    short: list[tuple[int, float]] = []
    for row in np.flatnonzero(left < 0).tolist():
        owed, left[row] = -left[row], 0.0
        # A part is counted first and judged afterwards: look back before looking ahead.
        for other in (*range(row - 1, row - NEAR - 1, -1), *range(row + 1, row + NEAR + 1)):
            if owed > 0 and 0 <= other < len(left) and left[other] > 0:
                taken = min(owed, left[other])
                left[other] -= taken
                owed -= taken
        if owed > 0:
            short.append((row, float(owed)))
    return left, short


def silences(
    machine: Machine, tags: dict[str, Tag], gaps: pd.DataFrame | None
) -> tuple[spans.IntArray, spans.IntArray]:
    """Spans in which nothing was heard of the machine, in order: `gaps`, else what the samples at hand show."""
    if gaps is not None:
        starts, ends = spans.to_us(gaps["starts_at"]), spans.to_us(gaps["ends_at"])
        order = np.argsort(starts, kind="stable")
        return starts[order], np.where(ends == spans.MISSING, spans.FOREVER, ends)[order]
    nothing = np.empty(0, dtype=np.int64)
    if machine.silence_after_s is None:
        return nothing, nothing
    heard = np.unique(np.concatenate([nothing, *(tag.time for tag in tags.values())]))
    silent = np.diff(heard) > machine.silence_after_s * 1e6
    return heard[:-1][silent], heard[1:][silent]


def reaches_into(
    silent: tuple[spans.IntArray, spans.IntArray], since: spans.IntArray, until: spans.IntArray
) -> spans.BoolArray:
    """Whether any of the silent spans overlaps each [since, until)."""
    starts, ends = silent
    if not len(starts):
        return np.zeros(len(since), dtype=bool)
    first = np.searchsorted(ends, since, side="right")
    inside = first < len(starts)
    return np.asarray(inside & (starts[np.minimum(first, len(starts) - 1)] < until), dtype=bool)
