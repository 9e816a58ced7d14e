"""machine_states: what each machine did, without a gap.

Belongs here: reading state samples and silences, writing intervals cut at the edges of production days.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from prodlytics.assets.checks import Check
from prodlytics.assets.declare import dataset_asset
from prodlytics.assets.derive import Derivation, rederive
from prodlytics.assets.resources import Database
from prodlytics.assets.window import Window, day_edges

if TYPE_CHECKING:
    import pandas as pd
    import psycopg

    from prodlytics.plant.model import Machine, Plant


def machine_states(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""

    @dataset_asset(
        plant,
        "machine_states",
        deps=["machine_telemetry", "operator_entries"],
        checks={
            "covers_every_second": "Is there one state for every second of every machine?",
        },
    )
    def asset(context: dg.AssetExecutionContext, database: Database) -> dg.MaterializeResult[Any]:
        return rederive(context, plant, database, "machine_states", lambda conn, w: _compute(conn, plant, w))

    return asset


def _compute(conn: psycopg.Connection, plant: Plant, window: Window) -> Derivation:
    from prodlytics.assets.inputs import of_machine, samples, silences, together
    from prodlytics.kpi.days import cut_at
    from prodlytics.kpi.machine_states import derive_machine_states

    rows, refused = [], []
    for machine in plant.machines:
        metrics, runs = _metrics_of(machine), _runs_of(machine)
        said = samples(conn, "select_state_samples", machine.id, metrics, window.start, window.end, runs=runs)
        derived = derive_machine_states(
            plant,
            machine,
            said,
            silences(conn, machine, window, said, runs),
            of_machine(conn, "select_entries", machine.id, window.start, window.end),
            window.start,
            window.end,
            window.cover_until,
            window.as_of,
        )
        rows.append(derived.rows)
        refused.append(derived.quarantined)
    states = cut_at(together(rows), day_edges(plant, window.start, window.end))
    return Derivation(
        states,
        "starts_at >= %(start)s AND starts_at < %(end)s",
        {"start": window.start, "end": window.end},
        quarantined=together(refused),
        checks=(_covers(plant, states, window),),
    )


def _runs_of(machine: Machine) -> list[str]:
    """The tags whose last change says what was in force when a window begins."""
    state = machine.state
    return [counter.metric for counter in machine.counters] if state.source == "counts" else [state.metric]


def _metrics_of(machine: Machine) -> list[str]:
    return [*_runs_of(machine), *filter(None, (machine.state.duration_metric, machine.fault_metric))]


def _covers(plant: Plant, states: pd.DataFrame, window: Window) -> Check:
    from prodlytics.assets.inputs import seconds

    told = seconds(states)
    asked = (window.cover_until - window.start).total_seconds() * len(plant.machines)
    return Check(
        "covers_every_second",
        abs(told - asked) < 1e-6,
        f"States cover {told:.0f} of {asked:.0f} machine-seconds.",
        {"seconds_told": told, "seconds_asked": asked},
    )
