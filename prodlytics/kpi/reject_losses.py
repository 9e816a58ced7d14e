"""Time and money that went into parts that were not good.

Belongs here: the time each rejected or reworked part took, whether it was made at start-up, what it cost. Does not
belong here: who said why (`scrap_events`), the other losses (`losses`).

A part takes its ideal cycle: what it took beyond that is reduced speed. A part counted while nobody knew the state cost
money, but no time of the ledger.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pandas as pd

from prodlytics.kpi import spans
from prodlytics.kpi.elements import counted_parts
from prodlytics.kpi.loss_rates import Rates
from prodlytics.plant.model import Machine, Plant

#: Scrap categories whose rejects are start-up losses, not defects of the running process.
START_UP = ("startup", "start_up")
GROUP = ["production_date", "shift", "part_number"]
_COSTS = ["material_cost", "labor_cost", "machine_cost"]
_TOLD = ["time", "event_key", "quantity", "scrap_reason", "scrap_category", *_COSTS]
#: Production date, shift and part.
Group = tuple[dt.date, str, str]


@dataclass(frozen=True)
class ScrapTold:
    """The scrap of a group: its first and last instant in microseconds, and all of it as text, for a fingerprint."""

    first_us: int
    last_us: int
    text: str


def reject_losses(
    plant: Plant,
    machine: Machine,
    ledger: pd.DataFrame,
    events: pd.DataFrame,
    scrap: pd.DataFrame,
    rates: Rates,
    start: dt.datetime,
    end: dt.datetime,
) -> tuple[pd.DataFrame, dict[Group, ScrapTold]]:
    """Losses to rejects and rework, one row for each explanation of each event.

    Args:
        plant: Ideal cycles, and whether reworked parts are good.
        machine: Its start-up window, its rates.
        ledger: Rows of `machine_time` in the window.
        events: Rows of `production_events` in the window.
        scrap: Rows of `scrap_events` in the window.
        rates: Of the machine, for time that has no scrap row (rework).
        start: Aware start of the window, at the boundary of a production day.
        end: Aware end of the window.

    Returns:
        Rows as `Rates.priced` gives them with production_date, shift, part_number, loss (defects or startup),
        reason_code, loss_us, occurrences (parts). And the scrap of each group.
    """
    made = _bad_parts(plant, machine, ledger, events, start, end)
    scrap = scrap.sort_values(["time", "event_key"], kind="stable").reset_index(drop=True)
    event = _event_of(made, scrap)
    scrap = _in_group(scrap, made, event, ledger)
    windows = start_up_windows(machine, ledger)
    explained = _explained(scrap, made, event, windows, rates)
    rest = _unexplained(plant, scrap, made, event, windows, rates)
    return pd.concat([explained, rest], ignore_index=True), _told(scrap)


def _told(scrap: pd.DataFrame) -> dict[Group, ScrapTold]:
    lines = map("|".join, zip(*(scrap[name].astype(str) for name in _TOLD), strict=True))
    of_group: dict[Group, list[tuple[int, str]]] = {}
    for *group, time, line in zip(
        *(scrap[name] for name in GROUP), spans.to_us(scrap["time"]).tolist(), lines, strict=True
    ):
        of_group.setdefault((group[0], group[1], group[2]), []).append((time, line))
    return {
        group: ScrapTold(told[0][0], told[-1][0], "\n".join(line for _, line in told))
        for group, told in of_group.items()
    }


def start_up_windows(machine: Machine, ledger: pd.DataFrame) -> tuple[spans.IntArray, spans.IntArray]:
    """When the machine was starting up: so long after a changeover, or after the first start of a shift.

    Both are looked for within one production date, so that a day alone gives what a year gives. A machine that runs on
    from one shift into the next does not start.

    Args:
        machine: `startup_window_min`, which may change with the production day.
        ledger: Rows of `machine_time` of the machine, whole production dates.

    Returns:
        Starts and ends in microseconds, in order, without overlap; nothing where no window is configured.
    """
    nothing = np.empty(0, dtype=np.int64)
    if machine.startup_window_min is None or ledger.empty:
        return nothing, nothing
    rows = ledger.sort_values("starts_at", kind="stable")
    begins, ends = spans.to_us(rows["starts_at"]), spans.to_us(rows["ends_at"])
    opens: list[int] = []
    closes: list[int] = []
    for _, indices in rows.groupby("production_date", sort=True).indices.items():
        minutes = machine.startup_window_min.on(rows["production_date"].iloc[indices[0]])
        if minutes is None:
            continue
        own = np.asarray(indices, dtype=np.int64)
        for at in own[_starts(rows.iloc[own])]:
            if closes and begins[at] < closes[-1]:
                closes[-1] = int(begins[at])
            opens.append(int(begins[at]))
            closes.append(min(int(begins[at] + minutes * 60e6), int(ends[own[-1]])))
    return np.array(opens, dtype=np.int64), np.array(closes, dtype=np.int64)


def _starts(day: pd.DataFrame) -> spans.BoolArray:
    """Rows of a production date at which a machine starts up."""
    bucket = spans.texts(day["bucket"])
    running = bucket == "running"
    began = np.append(False, running[1:] & ~running[:-1])
    changeovers = np.cumsum(bucket == "changeover")
    last_run = np.maximum.accumulate(np.where(running, np.arange(len(day)), -1))
    since = np.append(-1, last_run[:-1])
    after_changeover = changeovers - np.where(since >= 0, changeovers[since], 0) > 0
    runs = day.assign(running=running, shift=day["shift"].where(day["shift"].notna(), ""))
    first_of_shift = running & ~runs.duplicated(["shift", "running"]).to_numpy(dtype=bool)
    return np.asarray(began & (after_changeover | first_of_shift), dtype=bool)


def _bad_parts(
    plant: Plant, machine: Machine, ledger: pd.DataFrame, events: pd.DataFrame, start: dt.datetime, end: dt.datetime
) -> pd.DataFrame:
    """Counted events with rejects or rework: their group and the time one part takes, 0 where there is none."""
    bad = events[(events["reject_count"] > 0) | (events["rework_count"] > 0)]
    made = counted_parts(plant, machine, ledger, bad, start, end)
    known = ~made["in_gap"] & ~made["off_plan"] & made["ideal_cycle_ms"].notna()
    return made.assign(
        shift=made["shift"].where(made["shift"].notna(), ""),
        part_number=made["part_number"].where(made["part_number"].notna(), ""),
        each_us=np.where(known, made["ideal_cycle_ms"] * 1000.0, 0.0),
    )


def _event_of(made: pd.DataFrame, scrap: pd.DataFrame) -> spans.IntArray:
    """Row of `made` each scrap row is about, -1 where nothing was counted: people entered it, or nobody knew the hour.

    The rows of one event have its key, those after the first with a number behind it.
    """
    rejecting = np.flatnonzero(made["reject_count"].to_numpy(dtype=np.float64) > 0)
    times, keys = spans.to_us(made["time"]), made["event_key"].to_numpy(dtype=object)
    known = {(int(times[row]), keys[row]): int(row) for row in rejecting}
    found = np.full(len(scrap), -1, dtype=np.int64)
    for row, (time, key) in enumerate(zip(spans.to_us(scrap["time"]).tolist(), scrap["event_key"], strict=True)):
        found[row] = known.get((time, key), known.get((time, str(key).rpartition("#")[0]), -1))
    return found


def _in_group(scrap: pd.DataFrame, made: pd.DataFrame, event: spans.IntArray, ledger: pd.DataFrame) -> pd.DataFrame:
    """Scrap with the group of its event; else with the shift the ledger is in at that time."""
    rows = ledger.sort_values("starts_at", kind="stable")
    inside = spans.covering(spans.to_us(rows["starts_at"]), spans.to_us(rows["ends_at"]), spans.to_us(scrap["time"]))
    own = {
        "production_date": spans.texts(scrap["production_date"]),
        "shift": spans.pick(spans.texts(rows["shift"]), inside),
        "part_number": spans.texts(scrap["part_number"]),
    }
    placed = {
        name: np.where(event >= 0, spans.pick(spans.texts(made[name]), event), values) for name, values in own.items()
    }
    frame = scrap.assign(
        **{name: pd.Series(values, index=scrap.index, dtype=object) for name, values in placed.items()}
    )
    return frame.assign(
        shift=frame["shift"].where(frame["shift"].notna(), ""),
        part_number=frame["part_number"].where(frame["part_number"].notna(), ""),
    )


def _explained(
    scrap: pd.DataFrame,
    made: pd.DataFrame,
    event: spans.IntArray,
    windows: tuple[spans.IntArray, spans.IntArray],
    rates: Rates,
) -> pd.DataFrame:
    each = np.append(made["each_us"].to_numpy(dtype=np.float64), 0.0)[event]
    started = spans.covering(*windows, spans.to_us(scrap["time"])) >= 0
    by_category = scrap["scrap_category"].astype(object).map(lambda name: str(name).lower() in START_UP)
    reason = scrap["scrap_reason"].where(scrap["scrap_reason"].notna(), scrap["scrap_category"])
    machine_rate, labor_rate = rates.machine(scrap["production_date"]), rates.labor(scrap["production_date"])
    no_labor, no_machine = scrap["labor_cost"].isna(), scrap["machine_cost"].isna()
    return scrap[[*GROUP, *_COSTS]].assign(
        loss=np.where(started | by_category.to_numpy(dtype=bool), "startup", "defects"),
        reason_code=reason.where(reason.notna(), ""),
        loss_us=scrap["quantity"].to_numpy(dtype=np.float64) * each,
        occurrences=scrap["quantity"].to_numpy(dtype=np.float64),
        no_material_cost=scrap["material_cost"].isna(),
        no_ideal_cycle=(no_labor & ~np.isnan(labor_rate)) | (no_machine & ~np.isnan(machine_rate)),
        no_labor_rate=no_labor & np.isnan(labor_rate),
        no_machine_rate=no_machine & np.isnan(machine_rate),
        flag=np.full(len(scrap), None, dtype=object),
    )


def _unexplained(
    plant: Plant,
    scrap: pd.DataFrame,
    made: pd.DataFrame,
    event: spans.IntArray,
    windows: tuple[spans.IntArray, spans.IntArray],
    rates: Rates,
) -> pd.DataFrame:
    """Bad parts that scrap says nothing of: rework, which no scrap row has."""
    rejects = made["reject_count"].to_numpy(dtype=np.float64)
    rework = made["rework_count"].to_numpy(dtype=np.float64)
    said = event >= 0
    quantity = scrap["quantity"].to_numpy(dtype=np.float64)
    named = np.bincount(event[said], weights=quantity[said], minlength=len(made))
    parts = rejects - named + (0.0 if plant.convention.rework_is_good else rework)
    started = spans.covering(*windows, spans.to_us(made["time"])) >= 0
    rows = made[GROUP].assign(
        loss=np.where(started, "startup", "defects"),
        reason_code="",
        loss_us=parts * made["each_us"].to_numpy(dtype=np.float64),
        occurrences=parts,
    )
    return rates.priced(rows[parts != 0].reset_index(drop=True))
