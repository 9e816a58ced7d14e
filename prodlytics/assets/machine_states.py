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
            "states_do_not_flap": "Does no controller toggle between states?",
        },
    )
    def asset(context: dg.AssetExecutionContext, database: Database) -> dg.MaterializeResult[Any]:
        return rederive(context, plant, database, "machine_states", _compute)

    return asset


def _compute(conn: psycopg.Connection, plant: Plant, window: Window) -> Derivation:
    from prodlytics.assets.inputs import of_machine, samples, silences, together
    from prodlytics.kpi.days import cut_at
    from prodlytics.kpi.machine_states import derive_machine_states
    from prodlytics.kpi.reach import looks, started_within_reach

    rows, refused = [], []
    edges = day_edges(plant, window.start, window.end)
    for machine in plant.machines:
        metrics, runs = metrics_of(machine), runs_of(machine)
        back, ahead = looks(plant, machine)
        start, end = window.start - back, window.end + ahead
        said = samples(conn, "select_state_samples", machine.id, metrics, start, end, runs=runs)
        derived = derive_machine_states(
            plant,
            machine,
            said,
            silences(conn, machine, window, said, runs, ahead),
            of_machine(conn, "select_entries", machine.id, start, end),
            window.start,
            window.end,
            window.cover_until,
            window.as_of,
        )
        rows.append(started_within_reach(cut_at(derived.rows, edges), all_states=bool(back)))
        refused.append(derived.quarantined)
    states = together(rows)
    return Derivation(
        states,
        "starts_at >= %(start)s AND starts_at < %(end)s",
        {"start": window.start, "end": window.end},
        quarantined=together(refused),
        checks=(_covers(plant, states, window), _flapping(plant, states)),
    )


def runs_of(machine: Machine) -> list[str]:
    """The tags whose last change says what was in force when a window begins."""
    state = machine.state
    return [counter.metric for counter in machine.counters] if state.source == "counts" else [state.metric]


def metrics_of(machine: Machine) -> list[str]:
    """The tags of a machine that its states are made of."""
    return [*runs_of(machine), *filter(None, (machine.state.duration_metric, machine.fault_metric))]


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


def _flapping(plant: Plant, states: pd.DataFrame) -> Check:
    from prodlytics.kpi.flaps import changes_per_hour

    counts = changes_per_hour(states, plant.zone)
    limit = plant.thresholds.state_changes_per_h
    too_many = [one for one in counts if one[2] > limit]
    worst = ", ".join(
        f"{machine} from {hour:%Y-%m-%d %H:%M} ({count} changes)" for machine, hour, count in too_many[:5]
    )
    return Check(
        "states_do_not_flap",
        not too_many,
        f"In {len(too_many)} hours a machine changed its state more than {limit:g} times: {worst}. Each change may "
        "make a stop. Mend the signal, or let short states belong to the one before: `settle_s` under `state` of the "
        "machine in the plant file."
        if too_many
        else f"No machine changed its state more than {limit:g} times in an hour.",
        {"hours_with_flapping": len(too_many), "most_changes_in_an_hour": counts[0][2] if counts else 0},
        warns=True,
    )
