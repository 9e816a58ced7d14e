"""A plant's year as states and events, made in seconds: what the KPIs are computed from.

Belongs here: plausible volumes (about twenty stops a day and a part every ideal cycle), put straight into the tables.
Does not belong here: telemetry; the simulator makes that, and a year of it would take an hour.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pandas as pd

from prodlytics.db.connect import connect
from prodlytics.db.frames import copy_in
from prodlytics.plant.model import Machine, Plant

MINUTE_US = 60_000_000


@dataclass(frozen=True)
class Volume:
    """How many rows were made."""

    states: int
    events: int


def fill(url: str, plant: Plant, start: dt.datetime, end: dt.datetime, seed: int = 20261123) -> Volume:
    """Write `machine_states` and `production_events` of all machines in [start, end)."""
    states = events = 0
    with connect(url) as conn:
        for number, machine in enumerate(plant.machines):
            rng = np.random.default_rng((seed, number))
            said, made = _machine(machine, rng, start, end)
            with conn.transaction():
                states += copy_in(conn, "machine_states", said)
                events += copy_in(conn, "production_events", made)
        conn.commit()
        conn.autocommit = True
        conn.execute("ANALYZE machine_states")
        conn.execute("ANALYZE production_events")
    return Volume(states, events)


def _machine(
    machine: Machine, rng: np.random.Generator, start: dt.datetime, end: dt.datetime
) -> tuple[pd.DataFrame, pd.DataFrame]:
    first, last = (int(moment.timestamp() * 1_000_000) for moment in (start, end))
    pairs = int((last - first) / MINUTE_US / 72 * 1.3) + 10
    runs = rng.exponential(66 * MINUTE_US, pairs).astype(np.int64) + 1_000_000
    stops = rng.lognormal(0.6, 1.1, pairs) * MINUTE_US
    edges = first + np.concatenate(
        [[0], np.cumsum(np.column_stack([runs, stops.astype(np.int64) + 1_000_000]).ravel())]
    )
    edges = np.append(edges[edges < last], last)
    kind = np.where(
        np.arange(len(edges) - 1) % 2 == 0, "running", rng.choice(["idle", "fault", "setup"], len(edges) - 1)
    )
    begins = _times(edges[:-1])
    said = pd.DataFrame(
        {
            "machine_id": machine.id, "starts_at": begins, "ends_at": _times(edges[1:]), "state": kind.astype(object),
            "native_state": None, "fault_code": None, "state_started_at": begins, "is_open": False,
            "as_of": _times(np.full(len(begins), last)),
        }
    )  # fmt: skip
    ideal = machine.ideal_cycle_time_ms.steps[0].value * 1000 if machine.ideal_cycle_time_ms else 30e6
    cycles = np.cumsum(rng.normal(1.08, 0.05, int((last - first) / ideal)).clip(0.9) * ideal).astype(np.int64) + first
    cycles = cycles[cycles < last]
    running = kind[np.searchsorted(edges, cycles, side="right") - 1] == "running"
    cycles = np.unique(cycles[running])
    bad = rng.random(len(cycles)) < 0.03
    made = pd.DataFrame(
        {
            "time": _times(cycles), "machine_id": machine.id, "event_type": np.where(bad, "reject", "cycle_complete"),
            "event_key": np.where(bad, "PartCountReject", "PartCountGood"), "part_number": None, "work_order": None,
            "cycle_time_ms": ideal / 1000, "good_count": (~bad).astype(float), "reject_count": bad.astype(float),
            "rework_count": 0.0, "reject_reason": None, "machine_state": None, "fault_code": None, "operator_id": None,
            "since": _times(cycles - int(ideal)), "flag": None, "as_of": _times(np.full(len(cycles), last)),
        }
    )  # fmt: skip
    return said, made


def _times(us: np.ndarray) -> pd.Series:
    return pd.Series(np.asarray(us, dtype=np.int64).view("M8[us]")).dt.tz_localize("UTC")
