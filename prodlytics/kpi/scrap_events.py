"""Rejected parts with reason and money.

Belongs here: which reject has which reason, what it cost. Does not belong here: counting rejects (`production_events`).

Machines count rejects, people say why. A reason is put on as many rejects of its span as the person said, in order of
time; a reject nobody explained stays without a reason, and an explanation without a reject makes no scrap. Where no
machine counts rejects, what people entered is the scrap.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from prodlytics.datasets.registry import DATASETS
from prodlytics.kpi import spans
from prodlytics.kpi.oee_hourly import ideal_cycle_ms
from prodlytics.kpi.spans import FloatArray
from prodlytics.plant.model import History, Machine, Plant

COLUMNS = list(DATASETS["scrap_events"].columns)
#: How long before an entry without an end the rejects it is about may lie: people enter after the fact.
POINT_REACH_US = 15 * 60 * 1_000_000
#: Money is rounded to millionths: beyond that there is only the noise of binary fractions.
MONEY_DIGITS = 6


@dataclass(frozen=True)
class _Piece:
    """Some of the rejects of one event, or one entry."""

    time: int
    key: str
    part_number: str | None
    work_order: str | None
    quantity: float
    reason: str | None
    category: str | None
    operator: str | None


def derive_scrap_events(
    plant: Plant,
    machine: Machine,
    events: pd.DataFrame,
    entries: pd.DataFrame,
    costs: pd.DataFrame,
    plan: pd.DataFrame,
    as_of: dt.datetime,
) -> pd.DataFrame:
    """One row per reject event, split where only some of its parts were explained.

    Args:
        plant: Ideal cycles, currency.
        machine: Its counters say whether machines or people count scrap; its rates give the cost of time.
        events: Rows of `production_events`; those with rejects are read.
        entries: Rows of `operator_entries` of the machine, undone ones removed; only kind `scrap` is read. One with an
            end is about rejects in [starts_at, ends_at); one without is about the last ones before it, at most 15
            minutes back.
        costs: Rows of `part_costs`: what a part's material cost from a production day on.
        plan: Rows of `plan_calendar` that cover the rows, for the production day.
        as_of: What was known when this was computed.

    Returns:
        Columns of `scrap_events`. Costs are for the quantity in the row, missing where price, ideal cycle or rate is.
        Labour and machine cost are the ideal time of this operation at the rate of the day.
    """
    said = entries[entries["kind"] == "scrap"].sort_values(["starts_at", "entered_at", "source_key"], kind="stable")
    rejects = events[events["reject_count"] > 0].sort_values(["time", "event_key"], kind="stable")
    pieces = _explained(rejects, said) if _is_counted(machine) else _as_entered(said)
    frame = pd.DataFrame(
        {
            "time": spans.from_us(np.array([piece.time for piece in pieces], dtype=np.int64)),
            "machine_id": pd.Series(machine.id, index=range(len(pieces)), dtype=object),
            "event_key": pd.Series([piece.key for piece in pieces], dtype=object),
            "part_number": pd.Series([piece.part_number for piece in pieces], dtype=object),
            "work_order": pd.Series([piece.work_order for piece in pieces], dtype=object),
            "quantity": pd.Series([piece.quantity for piece in pieces], dtype=np.float64),
            "scrap_reason": pd.Series([piece.reason for piece in pieces], dtype=object),
            "scrap_category": pd.Series([piece.category for piece in pieces], dtype=object),
            "currency": pd.Series(plant.currency, index=range(len(pieces)), dtype=object),
            "operator_id": pd.Series([piece.operator for piece in pieces], dtype=object),
            "as_of": spans.from_us(np.full(len(pieces), spans.instant_us(as_of), dtype=np.int64)),
        }
    )
    frame["production_date"] = _dates(frame, plan)
    return _priced(plant, machine, frame, costs)[COLUMNS]


def _is_counted(machine: Machine) -> bool:
    """Whether production events know the rejects: from a counter, or from bookings that state them."""
    return machine.state.source == "operator" or any(counter.counts == "reject" for counter in machine.counters)


def _as_entered(said: pd.DataFrame) -> list[_Piece]:
    said = said[said["quantity"] > 0]
    return [
        _Piece(
            time, row["source_key"], row["part_number"], row["work_order"], float(row["quantity"]), row["scrap_reason"],
            row["scrap_category"], row["entered_by"],
        )
        for time, row in zip(spans.to_us(said["starts_at"]).tolist(), _records(said), strict=True)
    ]  # fmt: skip


def _explained(rejects: pd.DataFrame, said: pd.DataFrame) -> list[_Piece]:
    times = spans.to_us(rejects["time"])
    shares = _shares(times, rejects["reject_count"].to_numpy(dtype=np.float64), said)
    reasons = _records(said)
    pieces: list[_Piece] = []
    for number, (time, row) in enumerate(zip(times.tolist(), _records(rejects), strict=True)):
        whole = _Piece(
            time, row["event_key"], row["part_number"], row["work_order"], float(row["reject_count"]),
            row["reject_reason"], None, row["operator_id"],
        )  # fmt: skip
        pieces += _split(whole, [(reasons[entry], count) for entry, count in shares[number]])
    return pieces


def _split(whole: _Piece, explained: list[tuple[dict[str, Any], float]]) -> list[_Piece]:
    """The explained parts in the order they were explained, then the rest; the first keeps the event's key."""
    pieces = [
        replace(
            whole,
            quantity=count,
            reason=entry["scrap_reason"],
            category=entry["scrap_category"],
            operator=entry["entered_by"],
        )
        for entry, count in explained
    ]
    rest = whole.quantity - sum(count for _, count in explained)
    if rest > 0:
        pieces.append(replace(whole, quantity=rest))
    return [pieces[0], *(replace(piece, key=f"{whole.key}#{n}") for n, piece in enumerate(pieces[1:], start=2))]


def _shares(times: spans.IntArray, counts: FloatArray, said: pd.DataFrame) -> dict[int, list[tuple[int, float]]]:
    """For each reject event: which entries explain how many of its parts."""
    left = counts.copy()
    shares: dict[int, list[tuple[int, float]]] = defaultdict(list)
    starts, ends = spans.to_us(said["starts_at"]), spans.to_us(said["ends_at"])
    for entry, quantity in enumerate(said["quantity"].to_numpy(dtype=np.float64)):
        wanted = np.inf if np.isnan(quantity) else quantity
        for event in _about(times, int(starts[entry]), int(ends[entry])):
            taken = min(wanted, left[event])
            if taken > 0:
                shares[event].append((entry, float(taken)))
                left[event] -= taken
                wanted -= taken
    return shares


def _about(times: spans.IntArray, start: int, end: int) -> list[int]:
    """Rejects that an entry may be about, the first to be explained first."""
    if end != spans.MISSING:
        return list(range(int(np.searchsorted(times, start)), int(np.searchsorted(times, end))))
    first = int(np.searchsorted(times, start - POINT_REACH_US))
    return list(reversed(range(first, int(np.searchsorted(times, start, side="right")))))


def _dates(frame: pd.DataFrame, plan: pd.DataFrame) -> spans.ObjectArray:
    plan = plan.sort_values("starts_at", kind="stable")
    row = spans.covering(spans.to_us(plan["starts_at"]), spans.to_us(plan["ends_at"]), spans.to_us(frame["time"]))
    return spans.pick(spans.texts(plan["production_date"]), row)


def _priced(plant: Plant, machine: Machine, frame: pd.DataFrame, costs: pd.DataFrame) -> pd.DataFrame:
    prices = _prices(plant, costs)
    known: dict[tuple[str | None, dt.date], tuple[float, float, float]] = {}
    for part, day in set(zip(frame["part_number"], frame["production_date"], strict=True)):
        cycle_ms = ideal_cycle_ms(plant, machine, part, day)
        hours = np.nan if cycle_ms is None else cycle_ms / 3_600_000
        known[part, day] = (
            _price_on(prices.get(part, []), day),
            hours * _rate(machine.labor_rate_per_h, day),
            hours * _rate(machine.machine_rate_per_h, day),
        )
    each = [known[pair] for pair in zip(frame["part_number"], frame["production_date"], strict=True)]
    money = np.array(each, dtype=np.float64).reshape(len(frame), 3) * frame["quantity"].to_numpy()[:, None]
    money = np.round(money, MONEY_DIGITS)
    return frame.assign(material_cost=money[:, 0], labor_cost=money[:, 1], machine_cost=money[:, 2])


def _prices(plant: Plant, costs: pd.DataFrame) -> dict[str | None, list[tuple[dt.date, float]]]:
    """Material prices by part, oldest first. Another currency is no price: nobody gave us a rate of exchange."""
    prices: dict[str | None, list[tuple[dt.date, float]]] = defaultdict(list)
    for row in _records(costs[costs["currency"] == plant.currency].sort_values("since", kind="stable")):
        prices[row["part_number"]].append((row["since"], float(row["material_cost_per_unit"])))
    return prices


def _price_on(prices: list[tuple[dt.date, float]], day: dt.date) -> float:
    return next((price for since, price in reversed(prices) if since <= day), np.nan)


def _rate(history: History[Decimal] | None, day: dt.date) -> float:
    rate = history.on(day) if history is not None else None
    return np.nan if rate is None else float(rate)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    columns = {name: spans.texts(frame[name]) for name in frame.columns}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
