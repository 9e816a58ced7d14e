"""From a shop floor written down by hand to `kpi_rollup`, through stops, ledger and shifts.

Belongs here: what several tests of roll-ups need. Does not belong here: assertions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from prodlytics.kpi.kpi_rollup import derive_kpi_rollup
from prodlytics.kpi.oee_shift import derive_oee_shift
from prodlytics.plant.model import Plant
from prodlytics_tests.kpi import floor

MINUTE = 60_000_000


def shifts_of(
    plant: Plant,
    states: pd.DataFrame,
    plan: pd.DataFrame,
    made: pd.DataFrame,
    minutes: float,
    *,
    reasons: pd.DataFrame | None = None,
    orders: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """oee_shift of the machine."""
    start, end = floor.at(0), floor.at(minutes)
    ledger = floor.ledger_of(plant, states, plan, start, end, reasons)
    orders = floor.orders() if orders is None else orders
    return derive_oee_shift(plant, plant.machines[0], ledger, made, orders, start, end, floor.NOW)


def rollup_of(
    plant: Plant, states: pd.DataFrame, plan: pd.DataFrame, made: pd.DataFrame, minutes: float = 1440, **more: Any
) -> pd.DataFrame:
    """kpi_rollup of a plant of one machine."""
    shifts = shifts_of(plant, states, plan, made, minutes, **more)
    stops = floor.stops_of(plant, states, plan, more.get("reasons"))
    return derive_kpi_rollup(plant, shifts, stops, plan, floor.NOW)


def one(rows: pd.DataFrame, level: str, period: str, **also: Any) -> pd.Series[Any]:
    """The one row of this level and period."""
    chosen = rows[(rows["level"] == level) & (rows["period"] == period)]
    for name, value in also.items():
        chosen = chosen[chosen[name] == value]
    (index,) = chosen.index
    return rows.loc[index]


def shift_rows(*rows: dict[str, Any]) -> pd.DataFrame:
    """Rows of oee_shift from elements in minutes and counts; one shift of one day and machine M1 unless said."""
    base: dict[str, Any] = {
        "machine_id": "M1", "production_date": floor.DAY, "shift": "Shift 1", "part_number": "",
        "starts_at": floor.at(0), "ends_at": floor.at(510), "fingerprint": "f", "convention": "",
        **dict.fromkeys(
            ("good_count", "reject_count", "rework_count", "gap_good_count", "gap_reject_count", "off_plan_good_count",
             "off_plan_reject_count", "ideal_time_us", "ideal_good_time_us"), 0.0),
        **dict.fromkeys(
            ("planned_time_us", "run_time_us", "running_us", "failure_us", "changeover_us", "planned_stop_us",
             "other_stop_us", "micro_stop_us", "break_us", "not_scheduled_us", "unknown_us", "off_plan_run_us"), 0),
    }  # fmt: skip
    frame = pd.DataFrame(
        [
            base | {name: value * MINUTE if name.endswith("_us") else value for name, value in row.items()}
            for row in rows
        ]
    )
    return frame.astype({name: type(value) for name, value in base.items() if type(value) in (int, float)})


def no_stops() -> pd.DataFrame:
    """downtime_events without a row."""
    plant = floor.plant()
    return floor.stops_of(plant, floor.states((1440, "running")), floor.calendar((1440, "planned")))


def no_plan() -> pd.DataFrame:
    """plan_calendar without a row: periods are then production days."""
    return floor.calendar((1440, "planned"))[:0]


def several_machines(*machines: dict[str, Any], **changes: Any) -> Plant:
    """The floor's plant with these machines, all in line L1 unless they say otherwise."""
    first = floor.SETTINGS["machines"][0]
    every: Sequence[dict[str, Any]] = [{**first, "ideal_cycle_time_ms": None, **machine} for machine in machines]
    return Plant.model_validate(floor.SETTINGS | {"parts": [], "machines": every, **changes})
