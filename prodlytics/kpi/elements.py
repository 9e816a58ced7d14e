"""Elements of OEE: ledger time and counted parts, added up per group.

Belongs here: which instant of the ledger a counted part belongs to, its ideal cycle, sums per group, the fingerprint of
what a group was computed from. Does not belong here: what the groups are (`oee_hourly`, `oee_shift`), dividing (`oee`).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd

from prodlytics.kpi import spans
from prodlytics.kpi.machine_time import BUCKETS
from prodlytics.kpi.spans import FloatArray
from prodlytics.plant.calendar import day_hours, production_date_of, production_day
from prodlytics.plant.model import Convention, Machine, Plant

#: Time the machine was meant to run, whatever the convention says about the rest.
ALWAYS_PLANNED = ("running", "failure", "other_stop", "micro_stop")
#: What the calendar wants where a machine that runs is off the plan; a planned stop only if that is not planned time.
OFF_PLAN = ("break", "not_scheduled")
_PART_COLUMNS = ["good_count", "reject_count", "rework_count", "part_number", "event_type", "event_key", "flag"]
_LEDGER_TEXTS = ("bucket", "plan", "state", "reason_code", "stop_id", "shift", "production_date")


@dataclass(frozen=True)
class Ledger:
    """Rows of `machine_time` of one machine in order, as arrays."""

    rows: pd.DataFrame
    start: spans.IntArray
    end: spans.IntArray

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Ledger:
        """From rows in any order."""
        rows = rows.sort_values("starts_at", kind="stable")
        return cls(rows, spans.to_us(rows["starts_at"]), spans.to_us(rows["ends_at"]))

    def at(self, index: spans.IntArray, start: spans.IntArray, end: spans.IntArray) -> Ledger:
        """Pieces of these rows: each lies in the row of this index."""
        return Ledger(self.rows.iloc[index], start, end)


@dataclass(frozen=True)
class Parts:
    """Counted parts inside the ledger, in order of time."""

    rows: pd.DataFrame
    time: spans.IntArray
    row: spans.IntArray
    "Index of the ledger row whose hour, shift and day the part belongs to."
    in_gap: spans.BoolArray
    "Counted while nobody knew the state, or across a silence: no time to be compared with."
    off_plan: spans.BoolArray
    "Made in a break or outside the plan, where the convention keeps that out of OEE; never also `in_gap`."
    ideal_us: FloatArray
    "Ideal cycle of the part made; NaN where there is none."


def counted(
    plant: Plant, machine: Machine, ledger: Ledger, events: pd.DataFrame, start: dt.datetime, end: dt.datetime
) -> Parts:
    """The parts of `events` that lie in the ledger's hours.

    Args:
        plant: Ideal cycles of the parts.
        machine: Its own ideal cycle counts where a part has none on it.
        ledger: The ledger in [start, end).
        events: Rows of `production_events` in the window. A part belongs to the row in which its event lies; one that
            is dated at or after the ledger's end, in its last hour, to the last row.
        start: Aware start of the window, at the boundary of a production day.
        end: Aware end of the window.
    """
    time = spans.to_us(events["time"])
    row = _row_of(plant, ledger, time, start, end)
    made = events["good_count"] + events["reject_count"] + events["rework_count"] > 0
    order = _in_order(events, time, np.flatnonzero((row >= 0) & made.to_numpy(dtype=bool)))
    rows, time, row = events[_PART_COLUMNS].iloc[order], time[order], row[order]
    # A part is made in the time before its event; the last one before a silence was still seen, on the full hour too.
    # At the very edge of a production day that time is the day before's, which is not looked at, so that a day alone
    # gives what a year gives: such a part was seen unless its reading came over a silence, which its flag says.
    before = spans.covering(ledger.start, ledger.end, time - 1)
    before = np.where(time == _day_start(plant, time, start, end), -1, before)
    unknown = (ledger.rows["state"] == "unknown").to_numpy(dtype=bool)
    in_gap = ((before >= 0) & unknown[before]) | (rows["flag"] == "estimated").to_numpy(dtype=bool)
    off_plan = off_the_plan(ledger.rows["plan"], plant.convention)[np.where(before >= 0, before, row)]
    day, days = pd.factorize(ledger.rows["production_date"].to_numpy(dtype=object))
    return Parts(
        rows=rows,
        time=time,
        row=row,
        in_gap=in_gap,
        off_plan=off_plan & ~in_gap,
        ideal_us=_ideal_us(plant, machine, rows["part_number"], day[row], days),
    )


def counted_parts(
    plant: Plant, machine: Machine, ledger: pd.DataFrame, events: pd.DataFrame, start: dt.datetime, end: dt.datetime
) -> pd.DataFrame:
    """The same as a frame, to show how a number came about.

    Returns:
        One row per counted event: time, time_bucket, production_date, shift, part_number, event_type, event_key,
        good_count, reject_count, rework_count, flag, in_gap, off_plan, ideal_cycle_ms (missing where there is none).
    """
    cells = Ledger.of(ledger)
    parts = counted(plant, machine, cells, events, start, end)
    of_row = cells.rows[["time_bucket", "production_date", "shift"]].iloc[parts.row].reset_index(drop=True)
    return pd.concat([of_row, parts.rows.reset_index(drop=True)], axis=1).assign(
        time=spans.from_us(parts.time),
        in_gap=parts.in_gap,
        off_plan=parts.off_plan,
        ideal_cycle_ms=parts.ideal_us / 1000,
    )


def add_up(
    ledger: Ledger,
    row_group: spans.IntArray,
    parts: Parts,
    part_group: spans.IntArray,
    size: int,
    convention: Convention,
) -> pd.DataFrame:
    """Elements and fingerprint of each group.

    Args:
        ledger: Ledger rows or pieces of them.
        row_group: Number of the group each of them belongs to.
        parts: Counted parts.
        part_group: Number of the group each of them belongs to.
        size: How many groups there are.
        convention: Which buckets are planned time, and whether reworked parts are good.

    Returns:
        One row per group: counts, times in microseconds, `convention` and `fingerprint`, which changes when anything
        the group was computed from does.
    """
    times = {f"{bucket}_us": _time_in(ledger, row_group, size, ledger.rows["bucket"] == bucket) for bucket in BUCKETS}
    off_plan = off_the_plan(ledger.rows["plan"], convention)
    off_plan_us = _time_in(ledger, row_group, size, (ledger.rows["bucket"] == "running") & off_plan)
    return pd.DataFrame(
        {
            **_counts(parts, part_group, size),
            "planned_time_us": sum(times[f"{bucket}_us"] for bucket in _planned(convention)) - off_plan_us,
            "run_time_us": times["running_us"] + times["micro_stop_us"] - off_plan_us,
            **_ideal_times(parts, part_group, size, convention),
            **times,
            "off_plan_run_us": off_plan_us,
            "convention": np.full(size, convention.code, dtype=object),
            "fingerprint": _fingerprints(ledger, row_group, parts, part_group, size, convention),
        }
    )


def off_the_plan(plan: pd.Series[str], convention: Convention) -> spans.BoolArray:
    """Where running time and parts are kept out of OEE, from what the calendar wanted of each instant."""
    if convention.break_running == "planned":
        return np.zeros(len(plan), dtype=bool)
    stops = ("planned_stop",) if convention.planned_stops == "excluded" else ()
    return plan.isin((*OFF_PLAN, *stops)).to_numpy(dtype=bool)


def ideal_cycle_ms(plant: Plant, machine: Machine, part_number: str | None, date: dt.date) -> float | None:
    """Ideal cycle in ms on a production day: the part's on this machine, else the machine's, else None."""
    part = next((part for part in plant.parts if part.number == part_number), None)
    own = part.ideal_cycle_time_ms.get(machine.id) if part is not None else None
    cycle = own.on(date) if own is not None else None
    if cycle is None and machine.ideal_cycle_time_ms is not None:
        cycle = machine.ideal_cycle_time_ms.on(date)
    return cycle


def _planned(convention: Convention) -> tuple[str, ...]:
    choices = (
        ("changeover", convention.changeover),
        ("planned_stop", convention.planned_stops),
        ("unknown", convention.unknown),
    )
    return (*ALWAYS_PLANNED, *(bucket for bucket, choice in choices if choice == "availability_loss"))


def _row_of(plant: Plant, ledger: Ledger, time: spans.IntArray, start: dt.datetime, end: dt.datetime) -> spans.IntArray:
    """Ledger row of each instant; in the hour in which the ledger ends, also what comes after its end."""
    row = spans.covering(ledger.start, ledger.end, time)
    if not len(ledger.start):
        return row
    before = np.searchsorted(ledger.start, time, side="right") - 1
    last_of_hour = before == len(ledger.start) - 1
    bucket = spans.to_us(ledger.rows["time_bucket"])[-1:]
    closes = np.array([spans.instant_us(closes) for _, closes in day_hours(plant, start, end)], dtype=np.int64)
    hour_ends = closes[np.searchsorted(closes, bucket, side="right")]
    return np.where((row < 0) & last_of_hour & (time < hour_ends[0]), before, row)


def _day_start(plant: Plant, time: spans.IntArray, start: dt.datetime, end: dt.datetime) -> spans.IntArray:
    """When the production day of each instant of the window began."""
    opens, day = [start], production_date_of(plant, start)
    while (following := production_day(plant, day)[1]) < end:
        opens.append(following)
        day += dt.timedelta(days=1)
    starts = np.array([spans.instant_us(instant) for instant in opens], dtype=np.int64)
    return starts[np.searchsorted(starts, time, side="right") - 1]


def _in_order(events: pd.DataFrame, time: spans.IntArray, chosen: spans.IntArray) -> spans.IntArray:
    """The chosen rows by time, type and key: the order they arrived in must not show in the fingerprint."""
    if (np.diff(time[chosen]) > 0).all():
        return chosen
    rows = events.iloc[chosen]
    return chosen[np.lexsort((_hashes(rows["event_key"]), _hashes(rows["event_type"]), time[chosen]))]


def _ideal_us(
    plant: Plant, machine: Machine, numbers: pd.Series[str], day: spans.IntArray, days: spans.ObjectArray
) -> FloatArray:
    """Ideal cycle of each part on its production day (index into `days`) in microseconds; NaN where nobody has said."""
    number, known = pd.factorize(numbers.to_numpy(dtype=object))
    pairs, pair = np.unique(number * len(days) + day, return_inverse=True)
    cycles = np.full(len(pairs), np.nan)
    for index, key in enumerate(pairs.tolist()):
        which, on = divmod(key, len(days))
        cycle_ms = ideal_cycle_ms(plant, machine, None if which < 0 else known[which], days[on])
        if cycle_ms is not None:
            cycles[index] = cycle_ms * 1000
    return cycles[pair]


def _time_in(ledger: Ledger, group: spans.IntArray, size: int, which: pd.Series[bool]) -> spans.IntArray:
    total = np.zeros(size, dtype=np.int64)
    chosen = which.to_numpy(dtype=bool)
    np.add.at(total, group[chosen], (ledger.end - ledger.start)[chosen])
    return total


def _counts(parts: Parts, group: spans.IntArray, size: int) -> dict[str, FloatArray]:
    def total(column: str, chosen: spans.BoolArray) -> FloatArray:
        counts = parts.rows[column].to_numpy(dtype=np.float64)[chosen]
        return np.bincount(group[chosen], weights=counts, minlength=size).astype(np.float64)

    seen = ~parts.in_gap & ~parts.off_plan
    return {
        "good_count": total("good_count", seen),
        "reject_count": total("reject_count", seen),
        "rework_count": total("rework_count", seen),
        "gap_good_count": total("good_count", parts.in_gap),
        "gap_reject_count": total("reject_count", parts.in_gap) + total("rework_count", parts.in_gap),
        "off_plan_good_count": total("good_count", parts.off_plan),
        "off_plan_reject_count": total("reject_count", parts.off_plan) + total("rework_count", parts.off_plan),
    }


def _ideal_times(parts: Parts, group: spans.IntArray, size: int, convention: Convention) -> dict[str, FloatArray]:
    good, reject, rework = (
        parts.rows[name].to_numpy(dtype=np.float64) for name in ("good_count", "reject_count", "rework_count")
    )
    right = good + rework if convention.rework_is_good else good

    def total(counts: FloatArray) -> FloatArray:
        chosen = ~parts.in_gap & ~parts.off_plan & (counts > 0)
        times = (counts * parts.ideal_us)[chosen]
        return np.bincount(group[chosen], weights=times, minlength=size).astype(np.float64)

    return {"ideal_time_us": total(good + reject + rework), "ideal_good_time_us": total(right)}


def _fingerprints(
    ledger: Ledger,
    row_group: spans.IntArray,
    parts: Parts,
    part_group: spans.IntArray,
    size: int,
    convention: Convention,
) -> spans.ObjectArray:
    """SHA-256 per group over the values of its ledger rows and parts, and the convention."""
    told = np.column_stack([ledger.start, ledger.end, *(_hashes(ledger.rows[name]) for name in _LEDGER_TEXTS)])
    made = np.column_stack(
        [
            parts.time,
            *(
                parts.rows[name].to_numpy(dtype=np.float64).view(np.int64)
                for name in ("good_count", "reject_count", "rework_count")
            ),
            parts.ideal_us.view(np.int64),
            parts.in_gap.astype(np.int64),
            *(_hashes(parts.rows[name]) for name in ("part_number", "event_type", "event_key", "flag")),
        ]
    )
    told, first_told = _by_group(told, row_group, size)
    made, first_made = _by_group(made, part_group, size)
    code = convention.code.encode()
    prints = [
        hashlib.sha256(
            code
            + told[first_told[number] : first_told[number + 1]].tobytes()
            + b"|"
            + made[first_made[number] : first_made[number + 1]].tobytes()
        ).hexdigest()
        for number in range(size)
    ]
    return np.array(prints, dtype=object)


def _by_group(values: spans.IntArray, group: spans.IntArray, size: int) -> tuple[spans.IntArray, spans.IntArray]:
    """Rows in order of their group, and where each group begins."""
    order = np.argsort(group, kind="stable")
    return values[order], np.searchsorted(group[order], np.arange(size + 1)).astype(np.int64)


def _hashes(column: pd.Series[str]) -> spans.IntArray:
    """A number that depends only on the text itself: codes by order of appearance would not be comparable."""
    code, names = pd.factorize(column.to_numpy(dtype=object))
    known = [int.from_bytes(hashlib.sha256(str(name).encode()).digest()[:8], "big", signed=True) for name in names]
    return np.array([*known, 0], dtype=np.int64)[code]
