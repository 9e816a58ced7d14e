"""What the anomaly detectors read, by machine: minutes of its sensors, and the baseline of its vibration.

Belongs here: reads that scoring and training share. Does not belong here: what is computed from them.
"""

from __future__ import annotations

import datetime as dt
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from prodlytics.db.queries import sql
from prodlytics.plant.calendar import production_day

if TYPE_CHECKING:
    import psycopg

    from prodlytics.insights.anomalies.minutes import Minutes
    from prodlytics.plant.anomalies import Anomalies
    from prodlytics.plant.model import Machine, Plant

#: Running minutes looked through for a baseline at most: a machine that hardly runs has none after this.
_BASELINE_WITHIN = dt.timedelta(days=14)


def model_name(machine_id: str) -> str:
    """Name of a machine's process model in the registry."""
    return f"anomaly_process/{machine_id}"


def minutes_of_machine(
    conn: psycopg.Connection, machine: Machine, settings: Anomalies, start: dt.datetime, end: dt.datetime
) -> Minutes:
    """Minutes in which a machine ran in [start, end), with what its process sensors said.

    Minutes are those of the clock; one that is not over at `end` is not among them.
    """
    from prodlytics.assets.inputs import of_machine
    from prodlytics.insights.anomalies.minutes import minutes_of

    start, end = (at.replace(second=0, microsecond=0) for at in (start, end))

    means = of_machine(conn, "select_minute_means", machine.id, start, end)
    means = means[~means["metric_name"].map(lambda name: _no_process(machine, settings, name)).astype(bool)]
    ledger = of_machine(conn, "select_ledger_over", machine.id, start, end)
    orders = of_machine(conn, "select_orders", machine.id, start, end)
    epoch = dt.datetime.fromtimestamp(0, dt.UTC)
    first, last = ((at - epoch) // dt.timedelta(microseconds=1) for at in (start, end))
    return minutes_of(first, last, means, ledger, orders)


def _no_process(machine: Machine, settings: Anomalies, metric: str) -> bool:
    """Counters, states and alarms say what was done, not how."""
    said = {machine.state.metric, machine.state.duration_metric, machine.fault_metric, machine.cycle_time_metric}
    said |= {counter.metric for counter in machine.counters} | set(machine.alarm_metrics)
    return metric in said or any(fnmatchcase(metric, pattern) for pattern in settings.ignored_metrics)


def vibration_baseline(
    conn: psycopg.Connection, plant: Plant, machine: Machine, settings: Anomalies, known_until: dt.datetime
) -> tuple[float, dt.datetime] | None:
    """Level after the installation, captured once, and from when it holds; None while it cannot be told."""
    from prodlytics.insights.anomalies.vibration import baseline

    installed = settings.vibration_installed.get(machine.id, plant.first_day)
    names = {"machine_id": machine.id, "metric_name": settings.vibration_metric, "installed_on": installed}
    row = conn.execute(sql("select_vibration_baseline"), names).fetchone()
    if row is not None:
        return float(row[0]), row[1]
    heard = conn.execute(sql("select_first_sample"), {**names, "start": production_day(plant, installed)[0]}).fetchone()
    if heard is None or heard[0] is None:
        return None
    until = min(heard[0] + _BASELINE_WITHIN, known_until)
    if until <= heard[0]:
        return None
    minutes = minutes_of_machine(conn, machine, settings, heard[0], until)
    values = minutes.of([settings.vibration_metric])[:, 0]
    needed = round(settings.vibration_baseline_h * 60)
    level = baseline(values, needed)
    if level is None:
        return None
    import numpy as np

    last = int(minutes.time[np.flatnonzero(~np.isnan(values))[needed - 1]])
    captured = dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(microseconds=last)
    level = round(level, 4)
    conn.execute(
        sql("insert_vibration_baseline"),
        {**names, "level_mms": level, "captured_until": captured, "minutes": needed},
    )
    return level, captured
