"""machine_config: the machines of plant.yaml as a table, with what changes over time.

Belongs here: one row per machine and date from which something holds, and what changed in the plant file. Readers join
on it; derivations read the plant file itself.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import dagster as dg

from prodlytics.assets.checks import Check
from prodlytics.assets.declare import DAILY, dataset_asset
from prodlytics.assets.resources import Database
from prodlytics.assets.settings_version import version_of_run
from prodlytics.assets.snapshot import replace_snapshot
from prodlytics.db.plant_settings import latest_changes, machines_gone

if TYPE_CHECKING:
    from prodlytics.plant.model import Machine, Plant

#: Changes of settings shown in the UI; all are in the table.
SHOWN = 50


def machine_config(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""

    @dataset_asset(
        plant,
        "machine_config",
        deps=["ideal_cycles"],
        checks={
            "every_machine_has_an_ideal_cycle": "Can the performance of every machine be computed?",
            "no_machine_is_gone": "Is every machine with results still in the plant file?",
        },
        partitioned=False,
        freshness=DAILY,
    )
    def asset(context: dg.AssetExecutionContext, database: Database) -> dg.MaterializeResult[Any]:
        import pandas as pd

        from prodlytics.sources.live_sources import store_live_sources

        with database.connect() as conn:
            store_live_sources(conn, plant, dt.datetime.now(dt.UTC))
            version = version_of_run(context, conn, plant)
            told, gone = latest_changes(conn, SHOWN), machines_gone(conn, plant)
        rows = pd.DataFrame([row for machine in plant.machines for row in _rows(plant, machine)])
        # A machine whose every part has its own ideal cycle needs no default.
        in_parts = {machine for part in version.plant.parts for machine in part.ideal_cycle_time_ms}
        without = sorted(m.id for m in plant.machines if m.ideal_cycle_time_ms is None and m.id not in in_parts)
        return replace_snapshot(
            database,
            "machine_config",
            rows,
            [_has_ideal_cycles(plant, without), _nothing_gone(gone)],
            settings_version=version.number,
            days_to_compute_again=version.marked,
            settings_changes=dg.MetadataValue.md(_as_table(told)),
        )

    return asset


def _has_ideal_cycles(plant: Plant, without: list[str]) -> Check:
    return Check(
        "every_machine_has_an_ideal_cycle",
        not without,
        f"No ideal cycle for {', '.join(without)}: their performance and OEE stay empty. Write ideal_cycle_time_ms in "
        "the plant file."
        if without
        else "Every machine has an ideal cycle.",
        {"machines": len(plant.machines), "without": ", ".join(without)},
        warns=True,
    )


def _nothing_gone(gone: list[str]) -> Check:
    return Check(
        "no_machine_is_gone",
        not gone,
        f"Not in the plant file any more: {', '.join(gone)}. Their hours and shifts stay as they were and late data no "
        "longer corrects them; lines and plant leave them out on days that are computed again. If a machine was only "
        "renamed, write its old id again; a retired one stays in the file, with a shift plan without shifts."
        if gone
        else "Every machine with results is in the plant file.",
        {"machines_gone": ", ".join(gone)},
        warns=True,
    )


def _as_table(told: list[tuple[Any, ...]]) -> str:
    """Changes of settings as Markdown; what people typed cannot end a cell."""
    if not told:
        return "No setting has changed since the first run."
    lines = ["| noticed (UTC) | setting | before | now | computed days reached |", "|---|---|---|---|---|"]
    for noticed_at, setting, old, new, first, last in told:
        days = "none" if first is None else f"{first} to {last}"
        cells = (f"{noticed_at:%Y-%m-%d %H:%M}", setting, old or "", new or "", days)
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines)


def _rows(plant: Plant, machine: Machine) -> list[dict[str, Any]]:
    histories = (
        machine.micro_stop_s,
        machine.ideal_cycle_time_ms,
        machine.machine_rate_per_h,
        machine.labor_rate_per_h,
    )
    # Before the first threshold a machine is not configured: no row, rather than one with a hole.
    begins = machine.micro_stop_s.steps[0].since
    steps = (step.since for history in histories if history is not None for step in history.steps)
    dates = sorted({max(since, begins) for since in steps})
    return [
        {
            "machine_id": machine.id,
            "since": day,
            "machine_name": machine.name,
            "line": machine.line,
            "ideal_cycle_time_ms": _float(machine.ideal_cycle_time_ms and machine.ideal_cycle_time_ms.on(day)),
            "micro_stop_s": _float(machine.micro_stop_s.on(day)),
            "silence_after_s": _float(machine.silence_after_s),
            "machine_rate_per_h": _float(machine.machine_rate_per_h and machine.machine_rate_per_h.on(day)),
            "labor_rate_per_h": _float(machine.labor_rate_per_h and machine.labor_rate_per_h.on(day)),
            "currency": plant.currency,
            "vibration_class": machine.vibration_class,
        }
        for day in dates
    ]


def _float(value: Any) -> float:
    return float("nan") if value is None else float(value)
