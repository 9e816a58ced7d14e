"""What each sensor delivered in a production day against what it usually does.

Belongs here: how often a tag is sent while its machine runs and while it stands, how many samples are missing then.
Does not belong here: whether the machine was heard at all (`data_quality`), what the samples say.

Only a tag that is sent at a steady interval can be judged by counting. One that is sent when its value changes says
nothing by its silence: its feed is judged instead. Which of the two a tag is, its own past shows.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from prodlytics.datasets.registry import DATASETS
from prodlytics.kpi import spans
from prodlytics.plant.model import Machine

COLUMNS = list(DATASETS["sensor_delivery"].columns)
#: Production days before that say how a tag is usually sent.
USUAL_DAYS = 7
#: Intervals within this share of their median count as steady; so many of them make a tag steady.
STEADY_WITHIN, STEADY_SHARE = 0.25, 0.8
#: Fewer intervals say nothing about how a tag is sent.
FEWEST = 20
#: A sample is missing once three quarters of its interval are over: clocks and networks wobble.
EARLY = 0.25
STANDING, RUNNING, NOT_JUDGED = 0, 1, -1
_CLASSES = ("standing", "running")

Tag = tuple[str, str]


@dataclass(frozen=True)
class Day:
    """One production day of a machine: when it ran, stood, or was off outside the plan with its feed silent."""

    date: dt.date
    start: int
    end: int
    edges: spans.IntArray
    "Starts of the pieces, the first at `start`; microseconds."
    kind: spans.IntArray
    "RUNNING, STANDING or NOT_JUDGED in each piece."

    @classmethod
    def of(cls, date: dt.date, start: dt.datetime, end: dt.datetime, ledger: pd.DataFrame) -> Day:
        """From the rows of `machine_time` in [start, end).

        While the state is unknown the machine is taken to go on as before: a silent feed delivers nothing. Outside the
        plan it may be switched off, and nothing is expected of it. What the ledger does not tell is not judged.
        """
        rows = ledger.sort_values("starts_at", kind="stable")
        low, high = spans.instant_us(start), spans.instant_us(end)
        begins, closes = spans.to_us(rows["starts_at"]), spans.to_us(rows["ends_at"])
        state, plan = rows["state"].to_numpy(dtype=object), rows["plan"].to_numpy(dtype=object)
        kind = np.where(state == "running", RUNNING, STANDING)
        unknown = state == "unknown"
        known_at = np.maximum.accumulate(np.where(unknown, -1, np.arange(len(rows)))) if len(rows) else begins
        kind = np.where(unknown, np.where(known_at >= 0, kind[known_at], STANDING), kind)
        kind[unknown & (plan == "not_scheduled")] = NOT_JUDGED
        told = int(closes[-1]) if len(rows) else low
        edges = np.append(np.append(low, begins), told)
        every = np.append(np.append(NOT_JUDGED, kind), NOT_JUDGED)
        lasts = np.append(edges[1:], high) > edges
        edges, every = edges[lasts], every[lasts]
        new = np.append(True, every[1:] != every[:-1])
        return cls(date, low, high, edges[new].astype(np.int64), every[new].astype(np.int64))


@dataclass(frozen=True)
class _Usual:
    """How a tag is sent in each class: interval in microseconds, NaN where it is not sent steadily."""

    interval: spans.FloatArray
    seen: bool
    "Whether enough was ever seen of it in some class."


def derive_sensor_delivery(
    machine: Machine,
    days: Sequence[Day],
    times: Mapping[Tag, spans.IntArray],
    usual: pd.DataFrame,
    as_of: dt.datetime,
) -> pd.DataFrame:
    """One row per production day and tag that was sent then or in the days before.

    Args:
        machine: Its counters, states, faults, cycle times and alarms are sent when they change.
        days: Production days in order.
        times: Metric and native code of each tag to the times of its good samples in these days, in order.
        usual: Rows of `sensor_delivery` of the `USUAL_DAYS` before the first day.
        as_of: What was known.

    Returns:
        Columns of `sensor_delivery`. `delivery` is delivered / (delivered + missing) over the time in which the tag is
        sent steadily. It is missing, with the reason in `null_reason`, for a tag that cannot be judged by counting.
    """
    on_change = _sent_on_change(machine)
    rows = []
    for tag in sorted(times):
        before = usual[(usual["metric_name"] == tag[0]) & (usual["native_code"] == tag[1])]
        past = [_measured(row) for row in before.sort_values("production_date").to_dict("records")]
        for day in days:
            first, last = np.searchsorted(times[tag], [day.start, day.end])
            at = times[tag][first:last]
            own = _own_intervals(day, at)
            past = [one for one in past if (day.date - one.date).days <= USUAL_DAYS]
            if len(at) or past:
                rows.append(_row(machine, tag, day, at, own, past, tag[0] in on_change))
            if len(at):
                past = [*past, own]
    frame = pd.DataFrame(rows, columns=[name for name in COLUMNS if name != "as_of"])
    frame["missing_count"] = frame["missing_count"].astype("Int64")
    frame["sample_count"] = frame["sample_count"].astype("int64")
    for name in (
        "delivery",
        "longest_gap_s",
        *(f"{one}_{what}" for one in _CLASSES for what in ("interval_s", "regular")),
    ):
        frame[name] = frame[name].astype("float64")
    for name in ("starts_at", "ends_at"):
        frame[name] = spans.from_us(frame[name].to_numpy(dtype=np.int64))
    frame["as_of"] = spans.from_us(np.full(len(frame), spans.instant_us(as_of), dtype=np.int64))
    return frame[COLUMNS]


@dataclass(frozen=True)
class _Measured:
    """Median interval in seconds and share of steady ones per class; NaN where too little was seen."""

    date: dt.date
    interval_s: tuple[float, float]
    regular: tuple[float, float]


def _measured(row: Mapping[object, object]) -> _Measured:
    def pair(what: str) -> tuple[float, float]:
        return (float(str(row[f"standing_{what}"])), float(str(row[f"running_{what}"])))

    date = row["production_date"]
    assert isinstance(date, dt.date)
    return _Measured(date, pair("interval_s"), pair("regular"))


def _sent_on_change(machine: Machine) -> set[str]:
    state = machine.state
    named = (state.metric, state.duration_metric, machine.fault_metric, machine.cycle_time_metric)
    return {*(counter.metric for counter in machine.counters), *machine.alarm_metrics, *filter(None, named)}


def _own_intervals(day: Day, at: spans.IntArray) -> _Measured:
    """How the tag was sent on the day, from the intervals in which the machine did one thing."""
    piece = np.searchsorted(day.edges, at, side="right") - 1
    length = np.diff(at).astype(np.float64)
    of = np.where(piece[1:] == piece[:-1], day.kind[piece[:-1]], NOT_JUDGED)
    medians, shares = [], []
    for kind in (STANDING, RUNNING):
        some = length[of == kind]
        if len(some) < FEWEST:
            medians.append(float("nan"))
            shares.append(float("nan"))
            continue
        median = float(np.median(some))
        medians.append(median / 1e6)
        shares.append(float((np.abs(some - median) <= STEADY_WITHIN * median).mean()))
    return _Measured(day.date, (medians[0], medians[1]), (shares[0], shares[1]))


def _usual(own: _Measured, past: Sequence[_Measured]) -> _Usual:
    """What the days before show, by their median; where they show nothing, the day itself."""
    interval = np.full(2, np.nan)
    seen = False
    for kind in (STANDING, RUNNING):
        known = [one for one in past if not np.isnan(one.interval_s[kind])] or [own]
        median, regular = (float(np.median(values)) for values in (
            [one.interval_s[kind] for one in known], [one.regular[kind] for one in known]
        ))  # fmt: skip
        seen |= not np.isnan(median)
        if regular >= STEADY_SHARE:
            interval[kind] = median * 1e6
    return _Usual(interval, seen)


def _row(
    machine: Machine,
    tag: Tag,
    day: Day,
    at: spans.IntArray,
    own: _Measured,
    past: Sequence[_Measured],
    on_change: bool,
) -> dict[str, object]:
    usual = _usual(own, past)
    why = "sent_on_change"
    if not on_change and not usual.seen:
        why = "too_few_samples"
    judged = not on_change and not np.isnan(usual.interval).all()
    delivered, missing = _delivered(day, at, usual) if judged else (0, 0)
    judged &= delivered + missing > 0
    whole = np.concatenate([[day.start], at, [day.end]])
    return {
        "machine_id": machine.id,
        "production_date": day.date,
        "metric_name": tag[0],
        "native_code": tag[1],
        "starts_at": day.start,
        "ends_at": day.end,
        "sample_count": len(at),
        "missing_count": missing if judged else None,
        "delivery": delivered / (delivered + missing) if judged else None,
        **{f"{name}_interval_s": own.interval_s[kind] for kind, name in enumerate(_CLASSES)},
        **{f"{name}_regular": own.regular[kind] for kind, name in enumerate(_CLASSES)},
        "longest_gap_s": float(np.diff(whole).max()) / 1e6,
        "null_reason": None if judged else why if np.isnan(usual.interval).all() or on_change else "nothing_expected",
    }


def _delivered(day: Day, at: spans.IntArray, usual: _Usual) -> tuple[int, int]:
    """Samples delivered and missing while the tag should be sent steadily.

    Between two samples as many are missing as intervals would have fitted, less the one that came. Where the machine
    began to do something else in between the interval begins anew, at a moment nobody knows: one less for each time.
    """
    pace = np.zeros(len(day.kind))
    steady = (day.kind >= 0) & ~np.isnan(usual.interval[np.maximum(day.kind, 0)])
    pace[steady] = 1.0 / usual.interval[day.kind[steady]]
    corners = np.append(day.edges, day.end)
    expected = np.append(0.0, np.cumsum(pace * np.diff(corners)))
    points = np.concatenate([[day.start], at, [day.end]])
    due = np.diff(np.interp(points, corners, expected))
    changes = np.diff(np.searchsorted(day.edges[1:], points, side="right"))
    missing = np.floor(due - changes + EARLY) - 1
    # Before the first sample and after the last there is only one end to count from; the next day has the one at its
    # very start.
    missing[0] = np.floor(due[0] - changes[0] - EARLY)
    missing[-1] = np.ceil(due[-1] - changes[-1] - EARLY) - 1
    if not len(at):
        missing[:] = np.round(due - changes)
    delivered = int(steady[np.searchsorted(day.edges, at, side="right") - 1].sum())
    return delivered, int(np.maximum(missing, 0).sum())
