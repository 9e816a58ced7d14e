"""A few days of raw data of a small plant at random, to arrive in any order.

Belongs here: a plant with one machine of each kind of source, its samples and entries from a seed, loading some of
them the way landed files are loaded. Does not belong here: expectations.
"""

from __future__ import annotations

import csv
import datetime as dt
import tempfile
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

from prodlytics.plant.calendar import production_day
from prodlytics.plant.model import LandingFormat, Plant
from prodlytics.sources.landing import load_pending
from prodlytics_tests.kpi import floor
from prodlytics_tests.ledger.shops import TIMETABLES

#: Thursday to Monday; the clocks change in the last hours of Saturday's production day.
DAYS = [dt.date(2026, 3, 5) + dt.timedelta(days=n) for n in range(5)]
STATES = {"1": "running", "2": "idle", "3": "fault", "4": "setup"}
REASONS = ["MECH_A", "SETUP_A", "PM_A", "MATL_A"]
#: machine, metric, time, value
Sample = tuple[str, str, dt.datetime, float]
Entry = dict[str, Any]

SAMPLES = LandingFormat(
    name="samples",
    match="*.samples.csv",
    layout="long",
    columns={"machine": "machine", "metric": "metric", "time": "time", "value": "value"},
)
_ENTRY_NAMES = (
    "source_key", "machine_id", "kind", "starts_at", "ends_at", "reason_code", "quantity", "reject_quantity", "undoes",
    "entered_by", "entered_at",
)  # fmt: skip
ENTRIES = LandingFormat(
    name="entries",
    match="*.entries.csv",
    dataset="operator_entries",
    layout="long",
    columns={name: name for name in _ENTRY_NAMES},
)


def small_plant(timetable: int = 2, machines: int = 3) -> Plant:
    """One machine with a controller, one that only counts, one of which only people know; or the first of them."""
    settings = deepcopy(floor.SETTINGS)
    counters = [{"metric": "Good", "counts": "good", "width_bits": 16}, {"metric": "Reject", "counts": "reject"}]
    common = {"line": "L1", "ideal_cycle_time_ms": 60000, "silence_after_s": 1800}
    settings |= {
        "first_day": "2026-03-02",  # what is heard of the days before is not derived
        "shift_plans": [{"shifts": TIMETABLES[timetable]}],
        "landing": [SAMPLES, ENTRIES],
        "machines": [
            {"id": "M1", "name": "Controller", **common, "state": {"map": STATES}, "fault_metric": "Fault",
             "counters": counters},
            {"id": "M2", "name": "Counts", **common, "state": {"source": "counts"}, "counters": counters[:1]},
            {"id": "M3", "name": "People", **common, "state": {"source": "operator"}},
        ],
    }  # fmt: skip
    settings["machines"] = settings["machines"][:machines]
    return Plant.model_validate(settings)


def samples_of(plant: Plant, seed: int) -> list[Sample]:
    """What the machines say over all days: states at their changes, counts as parts are made, silences between."""
    rng = Random(seed)
    begin, end = production_day(plant, DAYS[0])[0], production_day(plant, DAYS[-1])[1]
    samples: list[Sample] = []
    # The state of before the first day is known.
    at, good, reject = begin - dt.timedelta(minutes=rng.randint(1, 300)), 65_400, 0
    while at < end:
        state = rng.choice([1, 1, 1, 2, 3, 4])
        length = dt.timedelta(microseconds=rng.choice([10**6, 90 * 10**6, rng.randint(1, 9 * 3600 * 10**6)]))
        samples.append(("M1", "MachineState", at, state))
        if state == 3:
            samples.append(("M1", "Fault", at + length / 3, rng.choice([7, 9])))
        closes = at + length
        if rng.random() < 0.2:  # the feed is silent for the rest of it
            samples += _beats(rng, at, at + length / 2)
        else:
            samples += _beats(rng, at, closes)
        while state == 1 and at < closes:
            at += dt.timedelta(seconds=rng.randint(60, 900))
            good = (good + rng.randint(1, 3)) % 65_536
            reject += rng.random() < 0.2
            samples += [("M1", "Good", at, good), ("M1", "Reject", at, reject)]
        at = max(at, closes)
    at, count = begin - dt.timedelta(minutes=5), 100
    while at < end:
        at += dt.timedelta(seconds=rng.choice([60, 61, 120, 1000, rng.randint(60, 20_000)]))
        count += 1
        samples.append(("M2", "Good", at, count % 65_536))
    known: dict[tuple[str, str, dt.datetime], float] = {(m, name, time): value for m, name, time, value in samples}
    return [(*key, value) for key, value in known.items()]


def _beats(rng: Random, start: dt.datetime, end: dt.datetime) -> list[Sample]:
    beats = []
    while start < end:
        beats.append(("M1", "Heat", start, float(rng.randint(20, 30))))
        start += dt.timedelta(minutes=rng.randint(5, 35))
    return beats


def entries_of(plant: Plant, seed: int) -> list[Entry]:
    """What people say: reasons with and without an end, bookings up to the edges of days, some of it taken back."""
    rng = Random(seed + 1)
    begin, end = production_day(plant, DAYS[0])[0], production_day(plant, DAYS[-1])[1]
    minutes = int((end - begin).total_seconds() // 60)
    entries: list[Entry] = []
    for number in range(30):
        start = begin + dt.timedelta(minutes=rng.randint(-120, minutes))
        length = dt.timedelta(minutes=rng.choice([1, 30, rng.randint(1, 1500)]))
        entry = dict.fromkeys(_ENTRY_NAMES) | {
            "source_key": f"e{number}",
            "machine_id": rng.choice(["M1", "M1", "M2", "M3"]),
            "kind": rng.choice(["reason", "reason", "production"]),
            "starts_at": start,
            "ends_at": None if rng.random() < 0.3 else start + length,
            "entered_by": "B42",
            "entered_at": start + dt.timedelta(minutes=rng.randint(0, 3000)),
        }
        if entry["kind"] == "production":
            day = production_day(plant, rng.choice(DAYS))[1]
            entry |= {"machine_id": "M3", "quantity": rng.randint(1, 50), "reject_quantity": rng.randint(0, 3)}
            entry["ends_at"] = rng.choice([day, start + length])
            entry["starts_at"] = entry["ends_at"] - length
        else:
            entry["reason_code"] = rng.choice(REASONS)
        entries.append(entry)
        if rng.random() < 0.15:
            undo = {"source_key": f"u{number}", "kind": "undo", "undoes": f"e{number}", "ends_at": None}
            entries.append(dict.fromkeys(_ENTRY_NAMES) | {**entry, **undo, "reason_code": None, "quantity": None,
                                                          "reject_quantity": None})  # fmt: skip
    return entries


def load(url: str, plant: Plant, rows: Iterable[Sample | Entry], name: str) -> None:
    """Samples and entries as landed files."""
    rows = list(rows)
    samples = [{"machine": r[0], "metric": r[1], "time": r[2], "value": r[3]} for r in rows if isinstance(r, tuple)]
    entries = [row for row in rows if isinstance(row, dict)]
    with tempfile.TemporaryDirectory() as landing:
        for kind, lines in (("samples", samples), ("entries", entries)):
            if lines:
                _write(Path(landing) / f"{name}.{kind}.csv", lines)
        report = load_pending(url, plant, landing)
    assert (report.files_with_error, report.rows_quarantined) == (0, 0), report
    assert report.rows_in == report.rows_stored == len(rows)


def _write(path: Path, lines: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(
            {name: v.isoformat() if isinstance(v, dt.datetime) else v for name, v in line.items()} for line in lines
        )
