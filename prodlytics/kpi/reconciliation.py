"""The same quantity from several mouths: machine, ERP, operators, another system, a paper record, the cycle counter.

Belongs here: what each of them says per shift or per order, how far they are from the machine's counters, and why one
says nothing. Does not belong here: how parts are counted (`production_events`), limits (assets).

A side that said nothing is missing, never zero. ERP systems report per order and over its life, so orders have rows of
their own; what is known per shift is compared per shift.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from prodlytics.datasets.registry import DATASETS
from prodlytics.kpi import spans
from prodlytics.kpi.entries import in_force
from prodlytics.kpi.oee import roll_up
from prodlytics.plant.calendar import production_date_of
from prodlytics.plant.model import Machine, Plant

COLUMNS = list(DATASETS["reconciliation"].columns)
#: Who is compared with the machine.
SIDES = ("erp", "operator", "vendor", "paper", "cycle")
#: Sources of figures that are not from a paper record.
SIDE_OF_SOURCE = {"machinemetrics": "vendor", "erp": "erp"}
#: Ratios that others measure; counts are always compared, these where somebody gave a figure, OEE always.
RATIOS = ("oee", "availability", "performance", "quality")
#: A figure is about a shift if its span has the edges of the shift, give or take so much.
SLACK_US = 15 * 60 * 1_000_000


@dataclass
class Line:
    """One measure of one shift or order while its sides are being filled in."""

    measure: str
    production_date: dt.date
    shift: str = ""
    work_order: str = ""
    starts_at: int = 0
    ends_at: int = spans.MISSING
    machine: float | None = None
    gap: float = 0.0
    said: dict[str, float] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    "Why a side says nothing."
    remarks: list[str] = field(default_factory=list)

    def put(self, side: str, value: float | None, otherwise: str) -> None:
        """What a side says, or why it says nothing."""
        if value is None or pd.isna(value):
            self.missing[side] = otherwise
        else:
            self.said[side] = float(value)


def difference_share(one: float, other: float) -> float:
    """Difference of two quantities as a share of the larger one, 0 to 1; equal ones, also 0 and 0, do not differ."""
    larger = max(abs(one), abs(other))
    return abs(one - other) / larger if larger else 0.0


def reconcile_shifts(
    plant: Plant,
    machine: Machine,
    shifts: pd.DataFrame,
    plan: pd.DataFrame,
    entries: pd.DataFrame,
    cycles: pd.DataFrame | None,
    as_of: dt.datetime,
) -> pd.DataFrame:
    """What is known per shift.

    Args:
        plant: Convention of the ratios.
        machine: Its counters decide what it can say.
        shifts: Its rows of `oee_shift` of some production dates.
        plan: Its rows of `plan_calendar` of these dates: they say which shift an instant is in.
        entries: Rows of `operator_entries` of that time, undos included: bookings and scrap are the operator's side,
            figures that of their source. What reaches over the edge of a shift counts in the shift of its middle, and
            the row says so.
        cycles: `time, cycles`, the readings of its cycle counters in that time; None where it has none, or nothing was
            heard of them.
        as_of: What was known.

    Returns:
        Columns of `reconciliation`, one row per production date, shift and measure; `work_order` is ''.
    """
    calendar = _Calendar.of(plan)
    said = in_force(entries)
    lines: list[Line] = []
    by = ["production_date", "shift"]
    for row in roll_up(shifts, by, plant.convention).to_dict("records"):
        of_shift = shifts[(shifts["production_date"] == row["production_date"]) & (shifts["shift"] == row["shift"])]
        where = {
            "production_date": row["production_date"],
            "shift": row["shift"],
            "starts_at": int(spans.to_us(of_shift["starts_at"]).min()),
            "ends_at": int(spans.to_us(of_shift["ends_at"]).max()),
        }
        lines += _lines_of_shift(plant, machine, row, where)
    if lines:
        _add_operators(lines, said, calendar)
        _add_figures(lines, said, calendar)
        _add_cycles(lines, machine, cycles, calendar)
    return _frame(machine, lines, as_of)


def reconcile_orders(
    plant: Plant,
    machine: Machine,
    orders: pd.DataFrame,
    counts: pd.DataFrame,
    entries: pd.DataFrame,
    first_heard: dt.datetime | None,
    as_of: dt.datetime,
) -> pd.DataFrame:
    """What is known per order, over its life.

    Args:
        plant: Zone and boundary of the production day in which an order began.
        machine: Where they were worked on.
        orders: `work_order, started_at, ended_at, is_closed, completed_qty, scrap_qty, reported_at`. An open order is
            compared as it was when the ERP reported it.
        counts: `work_order, good_count, reject_count, gap_good_count, gap_reject_count` that the machine counted for
            them from their start to `counted_until`.
        entries: Rows of `operator_entries` of that time, undos included; those that name their order count.
        first_heard: First sample of the machine: of an order that began before, it counted only a part.
        as_of: What was known.

    Returns:
        Columns of `reconciliation`, two rows per order; `shift` is ''.
    """
    said = in_force(entries)
    of_order = {row["work_order"]: row for row in counts.to_dict("records")}
    lines: list[Line] = []
    for order in orders.to_dict("records"):
        known = of_order[order["work_order"]]
        begun_before = first_heard is None or order["started_at"] < first_heard
        for measure, reported in (("good_count", "completed_qty"), ("reject_count", "scrap_qty")):
            line = Line(
                measure,
                production_date_of(plant, order["started_at"].to_pydatetime()),
                work_order=order["work_order"],
                starts_at=spans.instant_us(order["started_at"]),
                ends_at=spans.MISSING if pd.isna(order["ended_at"]) else spans.instant_us(order["ended_at"]),
                gap=float(known[f"gap_{measure}"]),
            )
            why_not = _cannot_count(machine, measure) or ("begun_before_data" if begun_before else None)
            line.put("machine", None if why_not else known[measure], why_not or "")
            is_final = order["is_closed"] or not pd.isna(order["reported_at"])
            line.put("erp", order[reported] if is_final else None, "not_reported" if is_final else "order_open")
            if not order["is_closed"]:
                line.remarks.append("order_open")
            for side in ("vendor", "paper"):
                line.missing[side] = "per_shift_only"
            line.put("operator", _booked(said[said["work_order"] == order["work_order"]], measure), "not_reported")
            line.missing["cycle"] = "per_shift_only"
            lines.append(line)
    return _frame(machine, lines, as_of)


def counted_until(orders: pd.DataFrame, as_of: dt.datetime) -> list[dt.datetime]:
    """Until when parts of each order are counted: its end, for an open one the moment of the ERP's report."""
    ends = orders["ended_at"].where(orders["is_closed"].astype(bool), orders["reported_at"])
    return [as_of if pd.isna(end) else end for end in ends]


@dataclass(frozen=True)
class _Calendar:
    """Which shift an instant is in."""

    starts: spans.IntArray
    ends: spans.IntArray
    keys: list[tuple[dt.date, str]]

    @classmethod
    def of(cls, plan: pd.DataFrame) -> _Calendar:
        plan = plan.sort_values("starts_at", kind="stable")
        shift = plan["shift"].where(plan["shift"].notna(), "")
        return cls(
            spans.to_us(plan["starts_at"]),
            spans.to_us(plan["ends_at"]),
            list(zip(plan["production_date"], shift, strict=True)),
        )

    def shift_of(self, at: spans.IntArray) -> list[tuple[dt.date, str] | None]:
        """Production date and shift of each instant; None where the plan says nothing."""
        return [None if row < 0 else self.keys[row] for row in spans.covering(self.starts, self.ends, at).tolist()]

    def span_of(self, key: tuple[dt.date, str]) -> tuple[int, int]:
        """Start and end of a shift."""
        rows = [row for row, other in enumerate(self.keys) if other == key]
        return int(self.starts[rows[0]]), int(self.ends[rows[-1]])

    def attach(self, entries: pd.DataFrame) -> tuple[list[tuple[dt.date, str] | None], list[bool]]:
        """Shift of the middle of each entry, and whether the entry reaches over an edge of it."""
        start, end = spans.to_us(entries["starts_at"]), spans.to_us(entries["ends_at"])
        last = np.where(end == spans.MISSING, start, np.maximum(end - 1, start))
        first, middle, final = (self.shift_of(at) for at in (start, start + (last - start) // 2, last))
        crosses = [not one == two == three for one, two, three in zip(first, middle, final, strict=True)]
        return middle, crosses


def _lines_of_shift(plant: Plant, machine: Machine, row: Mapping[Any, Any], where: dict[str, Any]) -> list[Line]:
    good = Line("good_count", **where, gap=row["gap_good_count"])
    reject = Line("reject_count", **where, gap=row["gap_reject_count"])
    parts = Line("parts", **where, gap=good.gap + reject.gap)
    # Rejects and rework of a silence, and of time outside the plan, are counted together.
    good_total = row["good_count"] + good.gap + row["off_plan_good_count"]
    reject_total = row["reject_count"] + reject.gap + row["off_plan_reject_count"]
    total = good_total + reject_total + row["rework_count"]
    # Nobody heard anything: that is not a count of none.
    nothing_known = "no_data" if row["null_reason"] == "no_data" and total == 0 else None
    for line, counted in (
        (good, good_total),
        (reject, reject_total),
        (parts, total),
    ):
        why_not = _cannot_count(machine, line.measure) or nothing_known
        line.put("machine", None if why_not else counted, why_not or "")
        if line.gap:
            line.remarks.append("counted_over_silence")
    ratios = [Line(name, **where) for name in RATIOS]
    for line in ratios:
        line.put("machine", row[line.measure], row["null_reason"] or "no_data")
    return [good, reject, parts, *ratios]


def _cannot_count(machine: Machine, measure: str) -> str | None:
    """Why a machine says nothing about a count; None where it does."""
    kinds = {counter.counts for counter in machine.counters} - {"cycles"}
    if not kinds:
        return "counted_by_people"
    needed = {"good_count": {"good", "total"}, "reject_count": {"reject"}, "parts": {"good", "total"}}[measure]
    if kinds & needed or (measure == "reject_count" and {"good", "total"} <= kinds):
        return None
    return "no_counter"


def _booked(entries: pd.DataFrame, measure: str) -> float | None:
    """What operators entered of a count; scrap entries go before the rejects of bookings. None for nothing."""
    booked = entries[entries["kind"] == "production"]
    if measure == "good_count":
        return _sum(booked["quantity"])
    if measure == "reject_count":
        scrap = _sum(entries.loc[entries["kind"] == "scrap", "quantity"])
        return _sum(booked["reject_quantity"]) if scrap is None else scrap
    return None


def _sum(values: pd.Series[Any]) -> float | None:
    numbers = pd.to_numeric(values).dropna()
    return float(numbers.sum()) if len(numbers) else None


def _add_operators(lines: Sequence[Line], said: pd.DataFrame, calendar: _Calendar) -> None:
    counted = said[said["kind"].isin(("production", "scrap"))].reset_index(drop=True)
    shift, crosses = calendar.attach(counted)
    for line in lines:
        if line.measure not in ("good_count", "reject_count"):
            line.missing["operator"] = "not_counted_by_people"
            continue
        own = [row for row, key in enumerate(shift) if key == (line.production_date, line.shift)]
        mine = counted.iloc[own]
        line.put("operator", _booked(mine, line.measure), "not_reported")
        if "operator" in line.said and any(crosses[row] for row in own):
            line.remarks.append("entry_crosses_shift")


def _add_figures(lines: Sequence[Line], said: pd.DataFrame, calendar: _Calendar) -> None:
    """Figures others measured for the shift; of several from one side the one entered last."""
    figures = said[said["kind"] == "figure"].sort_values(["entered_at", "source_key"], kind="stable")
    shift, _ = calendar.attach(figures)
    whole = _whole_shift(figures, shift, calendar)
    for line in lines:
        for side in ("vendor", "paper", "erp"):
            line.missing[side] = "per_order_only" if side == "erp" else "not_reported"
    by_place = {(line.production_date, line.shift, line.measure): line for line in lines}
    for row, key, is_whole in zip(figures.to_dict("records"), shift, whole, strict=True):
        if key is None or (*key, row["measure"]) not in by_place:
            continue
        line = by_place[(*key, row["measure"])]
        side = SIDE_OF_SOURCE.get(row["source"], "paper")
        if is_whole:
            line.said[side] = float(row["figure"])
            line.missing.pop(side, None)
        elif side not in line.said:
            line.missing[side] = "figure_of_part_of_the_shift"


def _whole_shift(figures: pd.DataFrame, shift: Sequence[tuple[dt.date, str] | None], calendar: _Calendar) -> list[bool]:
    """Whether each figure is about the whole shift: without an end it is."""
    found = []
    start, end = spans.to_us(figures["starts_at"]), spans.to_us(figures["ends_at"])
    for row, key in enumerate(shift):
        if key is None or end[row] == spans.MISSING:
            found.append(key is not None)
            continue
        begins, closes = calendar.span_of(key)
        found.append(abs(int(start[row]) - begins) <= SLACK_US and abs(int(end[row]) - closes) <= SLACK_US)
    return found


def _add_cycles(lines: Sequence[Line], machine: Machine, cycles: pd.DataFrame | None, calendar: _Calendar) -> None:
    has_counter = any(counter.counts == "cycles" for counter in machine.counters)
    totals: dict[tuple[dt.date, str], float] = {}
    if cycles is not None:
        for key, count in zip(calendar.shift_of(spans.to_us(cycles["time"])), cycles["cycles"], strict=True):
            if key is not None:
                totals[key] = totals.get(key, 0.0) + float(count)
    for line in lines:
        if line.measure != "parts":
            line.missing["cycle"] = "not_a_cycle_count"
        elif line.missing.get("machine") == "no_data":
            line.missing["cycle"] = "no_data"
        elif cycles is None:
            line.missing["cycle"] = "never_heard" if has_counter else "no_cycle_counter"
        else:
            line.said["cycle"] = totals.get((line.production_date, line.shift), 0.0)


def _frame(machine: Machine, lines: Sequence[Line], as_of: dt.datetime) -> pd.DataFrame:
    # Ratios nobody else measured say nothing here; OEE and counts are shown as not compared.
    kept = [line for line in lines if line.measure not in RATIOS[1:] or {"vendor", "paper", "erp"} & set(line.said)]
    size = len(kept)
    values = {side: _floats([line.said.get(side) for line in kept]) for side in ("machine", *SIDES)}
    us = {name: np.array([getattr(line, name) for line in kept], dtype=np.int64) for name in ("starts_at", "ends_at")}
    frame = pd.DataFrame(
        {
            "machine_id": np.full(size, machine.id, dtype=object),
            **{
                name: np.array([getattr(line, name) for line in kept], dtype=object)
                for name in ("production_date", "shift", "work_order", "measure")
            },
            "starts_at": spans.from_us(us["starts_at"]),
            "ends_at": spans.from_us(us["ends_at"]),
            **{f"{side}_value": said for side, said in values.items()},
            **{f"{side}_difference": values["machine"] - values[side] for side in SIDES},
            **{f"{side}_share": _shares(values["machine"], values[side]) for side in SIDES},
            "gap_value": np.array([line.gap for line in kept], dtype=np.float64),
            "null_reason": np.array([_reasons(line) for line in kept], dtype=object),
            "remark": np.array(["; ".join(line.remarks) or None for line in kept], dtype=object),
            "as_of": spans.from_us(np.full(size, spans.instant_us(as_of), dtype=np.int64)),
        }
    )
    return frame[COLUMNS]


def _reasons(line: Line) -> str | None:
    said = [f"{side}: {line.missing[side]}" for side in ("machine", *SIDES) if side in line.missing]
    return "; ".join(said) or None


def _floats(values: list[float | None]) -> spans.FloatArray:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _shares(ours: spans.FloatArray, theirs: spans.FloatArray) -> spans.FloatArray:
    pairs = zip(ours, theirs, strict=True)
    return np.array(
        [np.nan if np.isnan(one) or np.isnan(other) else difference_share(one, other) for one, other in pairs],
        dtype=np.float64,
    )
