"""Which derivations new samples concern.

Belongs here: from where samples were stored to what has to be computed anew; the same for files and live data. Does not
belong here: leaving the marks (`db.dirty`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from prodlytics.kpi.flaps import LONGEST_FLAP
from prodlytics.plant.model import Plant

Moment = tuple[str, dt.datetime]
#: What has to be done anew where samples arrived.
DERIVED = ("archive/machine_telemetry", "data_quality", "machine_states", "production_events", "reconciliation",
           "sensor_delivery", "stop_features", "anomaly_scores")  # fmt: skip


def concerned(plant: Plant, touched: set[Moment], now: dt.datetime) -> Iterator[tuple[tuple[str, ...], set[Moment]]]:
    """Datasets, and the machines and moments for which they have to be computed anew.

    Args:
        plant: A machine whose states have to settle is judged up to `LONGEST_FLAP` later.
        touched: Machine and time of samples that were stored.
        now: What lies ahead is derived in its time.
    """
    yield DERIVED, touched
    settling = {machine.id for machine in plant.machines if machine.state.settle_s is not None}
    later = {(machine, time + LONGEST_FLAP) for machine, time in touched if machine in settling}
    later = {(machine, time) for machine, time in later if time <= now} - touched
    if later:
        yield ("machine_states",), later
