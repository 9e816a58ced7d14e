"""production_events: counters to parts, faults to alarms.

Belongs here: reading the samples of the window with their context and writing the events. The rules for counters
(rollover, reset, late samples) are in `prodlytics.kpi`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from prodlytics.assets.checks import Check
from prodlytics.assets.declare import dataset_asset
from prodlytics.assets.derive import Derivation, rederive
from prodlytics.assets.resources import Database
from prodlytics.assets.window import Window

if TYPE_CHECKING:
    import pandas as pd
    import psycopg

    from prodlytics.plant.model import Machine, Plant


def production_events(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""

    @dataset_asset(
        plant,
        "production_events",
        deps=["machine_telemetry", "operator_entries", "work_orders"],
        checks={"parts_have_a_part_number": "Is it known which part was made?"},
    )
    def asset(context: dg.AssetExecutionContext, database: Database) -> dg.MaterializeResult[Any]:
        return rederive(context, plant, database, "production_events", _compute)

    return asset


def metrics_of(machine: Machine) -> list[str]:
    """The tags of a machine that production events are made of; cycles are only compared with parts."""
    return [
        *(counter.metric for counter in machine.counters if counter.counts != "cycles"),
        *machine.alarm_metrics,
        *filter(None, (machine.fault_metric, machine.cycle_time_metric)),
    ]


def _compute(conn: psycopg.Connection, plant: Plant, window: Window) -> Derivation:
    from prodlytics.assets.inputs import of_machine, samples, silences, together
    from prodlytics.kpi.production_events import derive_production_events

    rows, refused = [], []
    for machine in plant.machines:
        metrics = metrics_of(machine)
        said = samples(conn, "select_samples_with_context", machine.id, metrics, window.start, window.end)
        derived = derive_production_events(
            plant,
            machine,
            said,
            of_machine(conn, "select_orders", machine.id, window.start, window.end),
            of_machine(conn, "select_entries", machine.id, window.start, window.end),
            window.start,
            window.end,
            window.as_of,
            silences(conn, machine, window, said, [counter.metric for counter in machine.counters]),
        )
        rows.append(derived.rows)
        refused.append(derived.quarantined)
    events = together(rows)
    return Derivation(
        events,
        "time >= %(start)s AND time < %(end)s",
        {"start": window.start, "end": window.end},
        quarantined=together(refused),
        checks=(_part_numbers(plant, events),),
        numbers={
            "good_parts": float(events["good_count"].sum()),
            "rejected_parts": float(events["reject_count"].sum()),
        },
    )


def _part_numbers(plant: Plant, events: pd.DataFrame) -> Check:
    made = events["good_count"] + events["reject_count"]
    total = float(made.sum())
    nameless = float(made[events["part_number"].isna()].sum())
    # A plant without a parts list has nothing to look up: there it is no fault.
    passed = not plant.parts or total == 0 or nameless / total <= 0.02
    return Check(
        "parts_have_a_part_number",
        passed,
        f"{nameless:.0f} of {total:.0f} parts have no part number"
        + ("." if passed else ": no order was running on their machine. Are work orders being loaded?"),
        {"parts": total, "parts_without_number": nameless},
        warns=True,
    )
