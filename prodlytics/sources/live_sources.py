"""What the live views know of the plant file: which tags tell states and parts, and what the controller's words mean.

Belongs here: three small tables that say the same as the plant file. Does not belong here: the views (sql/views), the
rules of states and counters (`prodlytics.kpi`).
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np

from prodlytics.db import locks
from prodlytics.db.queries import sql
from prodlytics.kpi import spans
from prodlytics.kpi.rates import plausible_rate
from prodlytics.kpi.state_sources import longest_pause_us

if TYPE_CHECKING:
    import psycopg

    from prodlytics.plant.model import Machine, Plant


def store_live_sources(conn: psycopg.Connection[Any], plant: Plant, now: dt.datetime) -> None:
    """Make the tables say what the plant file says, in one transaction; readers see the old or the new.

    Whoever has the plant file may do it, as often as they like: the bridge when it connects, `machine_config` when it
    is materialized. What changes over time (ideal cycles) is that of `now`.
    """
    machines = [_source(plant, machine, now) for machine in plant.machines]
    words = [
        {"machine_id": machine.id, "native_state": word, "state": state}
        for machine in plant.machines
        for word, state in machine.state.map.items()
    ]
    counters = [
        {"machine_id": machine.id, "metric_name": one.metric, "counts": one.counts, "kind": one.kind}
        for machine in plant.machines
        for one in machine.counters
    ]
    with conn.transaction(), conn.cursor() as cursor:
        locks.lock(conn, "live sources")
        cursor.execute("DELETE FROM machine_source")
        cursor.executemany(sql("insert_machine_source"), machines)
        cursor.executemany(sql("insert_native_state"), words)
        cursor.executemany(sql("insert_machine_counter"), counters)


def _source(plant: Plant, machine: Machine, now: dt.datetime) -> dict[str, Any]:
    at = np.array([spans.instant_us(now)], dtype=np.int64)
    return {
        "machine_id": machine.id,
        "machine_name": machine.name,
        "line": machine.line,
        "state_source": machine.state.source,
        "state_metric": machine.state.metric,
        "says_how_long": machine.state.duration_metric is not None,
        "fault_metric": machine.fault_metric,
        "cycle_time_metric": machine.cycle_time_metric,
        "silence_after_s": machine.silence_after_s,
        "idle_after_s": _known(longest_pause_us(plant, machine, at)[0] / 1e6),
        "most_parts_per_s": _known(plausible_rate(plant, machine, at)[0]),
        "timezone": plant.timezone,
        "day_boundary": plant.day_boundary,
    }


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
