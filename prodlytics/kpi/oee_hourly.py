"""Elements of OEE per machine and hour.

Belongs here: adding up the ledger and the parts of an hour, the ideal cycle of each part, the fingerprint of what an
hour was computed from. Does not belong here: dividing (`oee`), building the ledger (`machine_time`).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd

from prodlytics.datasets.registry import DATASETS
from prodlytics.kpi import spans
from prodlytics.kpi.machine_time import BUCKETS
from prodlytics.kpi.oee import ratios
from prodlytics.kpi.spans import FloatArray
from prodlytics.plant.calendar import day_hours, production_date_of, production_day
from prodlytics.plant.model import Convention, Machine, Plant

COLUMNS = list(DATASETS["oee_hourly"].columns)
#: Time the machine was meant to run, whatever the convention says about the rest.
ALWAYS_PLANNED = ("running", "failure", "other_stop", "micro_stop")


_PART_COLUMNS = ["good_count", "reject_count", "rework_count", "part_number", "event_type", "event_key", "flag"]
_LEDGER_TEXTS = ("bucket", "plan", "state", "reason_code", "stop_id", "shift", "production_date")


@dataclass(frozen=True)
class _Ledger:
    """The ledger as arrays; `hour` counts the hours it covers."""

    rows: pd.DataFrame
    start: spans.IntArray
    end: spans.IntArray
    hours: spans.IntArray
    first: spans.IntArray
    "First row of each hour."
    hour: spans.IntArray


@dataclass(frozen=True)
class _Parts:
    """Counted parts inside the ledger's hours, in order of time."""

    rows: pd.DataFrame
    time: spans.IntArray
    hour: spans.IntArray
    in_gap: spans.BoolArray
    ideal_us: FloatArray
    "Ideal cycle of the part made; NaN where there is none."


def derive_oee_hourly(
    plant: Plant,
    machine: Machine,
    ledger: pd.DataFrame,
    events: pd.DataFrame,
    start: dt.datetime,
    end: dt.datetime,
    as_of: dt.datetime,
) -> pd.DataFrame:
    """One row per hour that the ledger covers; two where the production date changes inside it.

    Args:
        plant: Convention and ideal cycles of the parts.
        machine: Its own ideal cycle counts where a part has none on it.
        ledger: Rows of `machine_time` in the window.
        events: Rows of `production_events` in the window. A part belongs to the hour of its event. Parts flagged
            `estimated`, or made while the state was unknown, have no time to be compared with: they go to the gap
            counts (rework with the rejects) and not into the ratios.
        start: Aware start of the window, at an hour.
        end: Aware end of the window.
        as_of: What was known when this was computed.

    Returns:
        Columns of `oee_hourly` without generated ones and revision. Times in microseconds, ratios uncapped. The
        fingerprint changes when anything the hour was computed from does.
    """
    cells = _ledger(ledger)
    parts = _parts(plant, machine, cells, events, start, end)
    times = {f"{bucket}_us": _per_hour(cells, bucket) for bucket in BUCKETS}
    convention = plant.convention
    dates = spans.texts(cells.rows["production_date"])[cells.first]
    frame = pd.DataFrame(
        {
            "time_bucket": spans.from_us(cells.hours),
            "machine_id": np.full(len(cells.hours), machine.id, dtype=object),
            "production_date": dates,
            **_counts(cells, parts),
            "planned_time_us": sum(times[f"{bucket}_us"] for bucket in _planned(convention)),
            "run_time_us": times["running_us"] + times["micro_stop_us"],
            **_ideal_times(cells, parts, convention),
            **times,
            "convention": np.full(len(cells.hours), convention.code, dtype=object),
            "as_of": spans.from_us(np.full(len(cells.hours), spans.instant_us(as_of), dtype=np.int64)),
            "fingerprint": _fingerprints(cells, parts, convention),
        }
    )
    return ratios(frame, convention)[COLUMNS]


def _planned(convention: Convention) -> tuple[str, ...]:
    choices = (
        ("changeover", convention.changeover),
        ("planned_stop", convention.planned_stops),
        ("unknown", convention.unknown),
    )
    return (*ALWAYS_PLANNED, *(bucket for bucket, choice in choices if choice == "availability_loss"))


def _ledger(ledger: pd.DataFrame) -> _Ledger:
    rows = ledger.sort_values("starts_at", kind="stable")
    hours, first, hour = np.unique(spans.to_us(rows["time_bucket"]), return_index=True, return_inverse=True)
    return _Ledger(
        rows=rows,
        start=spans.to_us(rows["starts_at"]),
        end=spans.to_us(rows["ends_at"]),
        hours=hours,
        first=first.astype(np.int64),
        hour=hour.astype(np.int64),
    )


def _per_hour(cells: _Ledger, bucket: str) -> spans.IntArray:
    total = np.zeros(len(cells.hours), dtype=np.int64)
    chosen = (cells.rows["bucket"] == bucket).to_numpy(dtype=bool)
    np.add.at(total, cells.hour[chosen], (cells.end - cells.start)[chosen])
    return total


def _parts(
    plant: Plant, machine: Machine, cells: _Ledger, events: pd.DataFrame, start: dt.datetime, end: dt.datetime
) -> _Parts:
    time = spans.to_us(events["time"])
    hour = spans.covering(cells.hours, _ends(plant, cells.hours, start, end), time)
    made = events["good_count"] + events["reject_count"] + events["rework_count"] > 0
    order = _in_order(events, time, np.flatnonzero((hour >= 0) & made.to_numpy(dtype=bool)))
    rows, time, hour = events[_PART_COLUMNS].iloc[order], time[order], hour[order]
    # A part is made in the time before its event; the last one before a silence was still seen, on the full hour too
    # (bookings end there). Not across the edge of a production day: a day alone must give what a year gives.
    row = spans.covering(cells.start, cells.end, np.maximum(time - 1, _day_start(plant, time, start, end)))
    unknown = (cells.rows["state"] == "unknown").to_numpy(dtype=bool)
    day, days = pd.factorize(cells.rows["production_date"].to_numpy(dtype=object))
    return _Parts(
        rows=rows,
        time=time,
        hour=hour,
        in_gap=((row >= 0) & unknown[row]) | (rows["flag"] == "estimated").to_numpy(dtype=bool),
        ideal_us=_ideal_us(plant, machine, rows["part_number"], day[cells.first[hour]], days),
    )


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


def _ends(plant: Plant, buckets: spans.IntArray, start: dt.datetime, end: dt.datetime) -> spans.IntArray:
    """Where each bucket of the ledger ends: with its hour, or where the next one begins inside it."""
    closes = np.array([spans.instant_us(closes) for _, closes in day_hours(plant, start, end)], dtype=np.int64)
    of_hour = closes[np.searchsorted(closes, buckets, side="right")]
    return np.asarray(np.minimum(of_hour, np.append(buckets[1:], spans.FOREVER)), dtype=np.int64)


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


def ideal_cycle_ms(plant: Plant, machine: Machine, part_number: str | None, date: dt.date) -> float | None:
    """Ideal cycle in ms on a production day: the part's on this machine, else the machine's, else None."""
    part = next((part for part in plant.parts if part.number == part_number), None)
    own = part.ideal_cycle_time_ms.get(machine.id) if part is not None else None
    cycle = own.on(date) if own is not None else None
    if cycle is None and machine.ideal_cycle_time_ms is not None:
        cycle = machine.ideal_cycle_time_ms.on(date)
    return cycle


def _counts(cells: _Ledger, parts: _Parts) -> dict[str, FloatArray]:
    def total(column: str, chosen: spans.BoolArray) -> FloatArray:
        counts = parts.rows[column].to_numpy(dtype=np.float64)[chosen]
        return np.bincount(parts.hour[chosen], weights=counts, minlength=len(cells.hours)).astype(np.float64)

    seen = ~parts.in_gap
    return {
        "good_count": total("good_count", seen),
        "reject_count": total("reject_count", seen),
        "rework_count": total("rework_count", seen),
        "gap_good_count": total("good_count", parts.in_gap),
        "gap_reject_count": total("reject_count", parts.in_gap) + total("rework_count", parts.in_gap),
    }


def _ideal_times(cells: _Ledger, parts: _Parts, convention: Convention) -> dict[str, FloatArray]:
    good, reject, rework = (
        parts.rows[name].to_numpy(dtype=np.float64) for name in ("good_count", "reject_count", "rework_count")
    )
    right = good + rework if convention.rework_is_good else good

    def total(counts: FloatArray) -> FloatArray:
        chosen = ~parts.in_gap & (counts > 0)
        times = (counts * parts.ideal_us)[chosen]
        return np.bincount(parts.hour[chosen], weights=times, minlength=len(cells.hours)).astype(np.float64)

    return {"ideal_time_us": total(good + reject + rework), "ideal_good_time_us": total(right)}


def _fingerprints(cells: _Ledger, parts: _Parts, convention: Convention) -> spans.ObjectArray:
    """SHA-256 per hour over the values of its ledger rows and parts, and the convention."""
    ledger = np.column_stack(
        [
            cells.start,
            cells.end,
            *(_hashes(cells.rows[name]) for name in _LEDGER_TEXTS),
        ]
    )
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
    first_row = np.append(cells.first, len(cells.rows))
    first_part = np.searchsorted(parts.hour, np.arange(len(cells.hours) + 1))
    code = convention.code.encode()
    prints = [
        hashlib.sha256(
            code
            + ledger[first_row[hour] : first_row[hour + 1]].tobytes()
            + b"|"
            + made[first_part[hour] : first_part[hour + 1]].tobytes()
        ).hexdigest()
        for hour in range(len(cells.hours))
    ]
    return np.array(prints, dtype=object)


def _hashes(column: pd.Series[str]) -> spans.IntArray:
    """A number that depends only on the text itself: codes by order of appearance would not be comparable."""
    code, names = pd.factorize(column.to_numpy(dtype=object))
    known = [int.from_bytes(hashlib.sha256(str(name).encode()).digest()[:8], "big", signed=True) for name in names]
    return np.array([*known, 0], dtype=np.int64)[code]
