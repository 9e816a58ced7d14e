"""A year of a plant from the level of machine_states and production_events on, in seconds and always the same.

Belongs here: states and parts of any number of machines with edges at whole microseconds. Does not belong here:
telemetry, which `prodlytics.simulator` tells; what comes out of it.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from prodlytics.assets.window import day_edges
from prodlytics.kpi import spans
from prodlytics.kpi.days import cut_at
from prodlytics.plant.calendar import production_day
from prodlytics.plant.load import load_plant
from prodlytics.plant.model import ALWAYS, Plant
from prodlytics.settings import DEMO_PLANT

MINUTE = 60_000_000
#: State, fault code, mean length in minutes, weight; every other state is running.
STOPS = (
    ("idle", None, 0.9, 50),
    ("idle", None, 12, 20),
    ("fault", "E217", 18, 20),
    ("fault", None, 4, 10),
    ("setup", None, 35, 8),
    ("blocked", None, 6, 10),
    ("off", None, 400, 2),
    ("unknown", None, 30, 3),
)


def plant_of(machines: int = 12) -> Plant:
    """The demo plant with so many machines: its twelve, again and again under other names."""
    demo = load_plant(DEMO_PLANT)
    copies = [
        machine.model_copy(update={"id": machine.id + suffix, "aliases": ()})
        for suffix in ("", "b", "c", "d", "e", "f", "g", "h")
        for machine in demo.machines
    ]
    plans = tuple(plan.model_copy(update={"since": ALWAYS}) for plan in demo.shift_plans[:1])
    changes: dict[str, Any] = {
        "shift_plans": plans,
        "machines": tuple(copies[:machines]),
        "first_day": dt.date(2025, 1, 1),
    }
    return demo.model_copy(update=changes)


def year(plant: Plant, first: dt.date, days: int, parts_per_h: float = 6.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of machine_states and production_events of all machines from `first` on."""
    begin = production_day(plant, first)[0]
    end = production_day(plant, first + dt.timedelta(days=days - 1))[1]
    edges = day_edges(plant, begin, end)
    states, parts = [], []
    for number, machine in enumerate(plant.machines):
        rng = np.random.default_rng(20261123 + number)
        told = _states(rng, machine.id, spans.instant_us(begin), spans.instant_us(end))
        parts.append(_parts(rng, machine.id, told, parts_per_h, end))
        states.append(cut_at(told, edges))
    return pd.concat(states, ignore_index=True), pd.concat(parts, ignore_index=True)


def _states(rng: np.random.Generator, machine_id: str, low: int, high: int) -> pd.DataFrame:
    size = int((high - low) / (25 * MINUTE))
    weights = np.array([weight for *_, weight in STOPS], dtype=float)
    stop = rng.choice(len(STOPS), size, p=weights / weights.sum())
    means = np.array([mean for _, _, mean, _ in STOPS])
    lengths = np.empty(2 * size)
    lengths[0::2] = rng.exponential(45, size)
    lengths[1::2] = rng.exponential(means[stop])
    end = low + np.cumsum(np.ceil(lengths * MINUTE).astype(np.int64) + 1)
    kept = int(np.searchsorted(end, high)) + 1
    assert kept <= len(end)
    end = np.minimum(end[:kept], high)
    start = np.append(low, end[:-1])
    names = np.array(["running"] * (2 * size), dtype=object)
    faults = np.array([None] * (2 * size), dtype=object)
    names[1::2] = np.array([name for name, *_ in STOPS], dtype=object)[stop]
    faults[1::2] = np.array([fault for _, fault, *_ in STOPS], dtype=object)[stop]
    return pd.DataFrame(
        {
            "machine_id": machine_id,
            "starts_at": spans.from_us(start),
            "ends_at": spans.from_us(end),
            "state": names[:kept],
            "native_state": None,
            "fault_code": faults[:kept],
            "state_started_at": spans.from_us(start),
            "is_open": False,
            "as_of": spans.from_us(np.full(kept, high)),
        }
    )


def _parts(
    rng: np.random.Generator, machine_id: str, states: pd.DataFrame, parts_per_h: float, end: dt.datetime
) -> pd.DataFrame:
    """Counter readings while the machine runs; some of them at the very end of a state."""
    running = states[states["state"] == "running"]
    start, until = spans.to_us(running["starts_at"]), spans.to_us(running["ends_at"])
    count = rng.poisson((until - start) / 3.6e9 * parts_per_h)
    rows = np.repeat(np.arange(len(start)), count)
    at: npt.NDArray[np.int64] = (start[rows] + rng.random(len(rows)) * (until - start)[rows]).astype(np.int64)
    at[rng.random(len(at)) < 0.05] = until[rows][rng.random(len(at)) < 0.05][:1]
    at = np.unique(at[at < spans.instant_us(end)])
    good = rng.integers(0, 6, len(at)).astype(float)
    reject = (rng.random(len(at)) < 0.04).astype(float)
    frame = pd.DataFrame(
        {
            "time": spans.from_us(at),
            "machine_id": machine_id,
            "event_type": "cycle_complete",
            "event_key": "PartCountGood",
            "part_number": None,
            "work_order": None,
            "good_count": good,
            "reject_count": reject,
            "rework_count": 0.0,
            "since": spans.from_us(np.append(at[:1], at[:-1])),
            "as_of": end,
        }
    )
    frame["as_of"] = frame["as_of"].astype("datetime64[us, UTC]")
    return frame[(good + reject) > 0]
