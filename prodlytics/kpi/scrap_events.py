"""Rejected parts with reason and money.

Belongs here: which reject has which reason, what it cost. Does not belong here: counting rejects (`production_events`).

Machines count rejects, people say why. A reason is put on as many rejects of its span as the person said, in order of
time; a reject nobody explained stays without a reason, and an explanation without a reject makes no scrap. Where no
machine counts rejects, what people entered is the scrap.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pandas as pd

from prodlytics.datasets.registry import DATASETS
from prodlytics.kpi import spans
from prodlytics.kpi.elements import ideal_cycle_ms
from prodlytics.kpi.entries import in_force
from prodlytics.kpi.spans import FloatArray
from prodlytics.plant.model import History, Machine, Plant

COLUMNS = list(DATASETS["scrap_events"].columns)
#: How long before an entry without an end the rejects it is about may lie: people enter after the fact.
POINT_REACH_US = 15 * 60 * 1_000_000
#: Money is rounded to millionths: beyond that there is only the noise of binary fractions.
MONEY_DIGITS = 6


@dataclass(frozen=True)
class _Pieces:
    """Rows to be: which row of events (or entries) each comes from, how many parts, which entry explains them."""

    source: spans.IntArray
    quantity: FloatArray
    entry: spans.IntArray
    "-1 where nobody explained."
    number: spans.IntArray
    "Counts the pieces of one event, from 1."


def derive_scrap_events(
    plant: Plant,
    machine: Machine,
    events: pd.DataFrame,
    entries: pd.DataFrame,
    costs: pd.DataFrame,
    plan: pd.DataFrame,
    start: dt.datetime,
    end: dt.datetime,
    as_of: dt.datetime,
) -> pd.DataFrame:
    """One row per reject event in [start, end), split where only some of its parts were explained.

    Args:
        plant: Ideal cycles, currency.
        machine: Its counters say whether machines or people count scrap; its rates give the cost of time.
        events: Rows of `production_events`; those with rejects are read.
        entries: Rows of `operator_entries` of the machine, with the undos that concern them; only kind `scrap` is read.
            One with an end is about rejects in [starts_at, ends_at); one without is about the last ones before it, at
            most 15 minutes back.
        costs: Rows of `part_costs`: what a part's material cost from a production day on.
        plan: Rows of `plan_calendar` that cover the rows, for the production day.
        start: Aware, included; no scrap entry reaches across it, or the quantity would be used up on either side.
        end: Aware, excluded; likewise.
        as_of: What was known when this was computed.

    Returns:
        Columns of `scrap_events`. Costs are for the quantity in the row, missing where price, ideal cycle or rate is.
        Labour and machine cost are the ideal time of this operation at the rate of the day.
    """
    said = in_force(entries)
    said = said[said["kind"] == "scrap"].sort_values(["starts_at", "entered_at", "source_key"], kind="stable")
    if _is_counted(machine):
        rejects = events[events["reject_count"] > 0].sort_values(["time", "event_key"], kind="stable")
        pieces = _explained(rejects, said)
    else:
        said = said[said["quantity"] > 0]
        rejects = _as_entered(said)
        pieces = _whole(rejects)
    frame = _rows(rejects, said, pieces)
    times = spans.to_us(frame["time"])
    inside = (times >= spans.instant_us(start)) & (times < spans.instant_us(end))
    frame = frame[inside].reset_index(drop=True)
    frame["machine_id"] = pd.Series(machine.id, index=frame.index, dtype=object)
    frame["currency"] = pd.Series(plant.currency, index=frame.index, dtype=object)
    frame["as_of"] = spans.from_us(np.full(len(frame), spans.instant_us(as_of), dtype=np.int64))
    frame["production_date"] = _dates(frame, plan)
    return _priced(plant, machine, frame, costs)[COLUMNS]


def _is_counted(machine: Machine) -> bool:
    """Whether production events know the rejects: from a counter, or from bookings that state them."""
    return machine.state.source == "operator" or any(counter.counts == "reject" for counter in machine.counters)


def _as_entered(said: pd.DataFrame) -> pd.DataFrame:
    """Entries as if a machine had counted them."""
    return pd.DataFrame(
        {
            "time": said["starts_at"],
            "event_key": said["source_key"],
            "part_number": said["part_number"],
            "work_order": said["work_order"],
            "reject_count": said["quantity"],
            "reject_reason": said["scrap_reason"],
            "operator_id": said["entered_by"],
        }
    )


def _whole(rejects: pd.DataFrame) -> _Pieces:
    """Each row explains itself."""
    every = np.arange(len(rejects), dtype=np.int64)
    return _Pieces(every, rejects["reject_count"].to_numpy(dtype=np.float64), every, np.ones_like(every))


def _explained(rejects: pd.DataFrame, said: pd.DataFrame) -> _Pieces:
    """The explained parts of each event in the order they were explained, then the rest."""
    counts = rejects["reject_count"].to_numpy(dtype=np.float64)
    left, shares = _shares(spans.to_us(rejects["time"]), counts, said)
    rest = np.flatnonzero(left > 0)
    source = np.concatenate([np.array([event for event, _, _ in shares], dtype=np.int64), rest])
    entry = np.concatenate([np.array([entry for _, entry, _ in shares], dtype=np.int64), np.full(len(rest), -1)])
    quantity = np.concatenate([np.array([count for _, _, count in shares], dtype=np.float64), left[rest]])
    order = np.argsort(source, kind="stable")
    source = source[order]
    first = np.flatnonzero(np.append(True, source[1:] != source[:-1])) if len(source) else source
    number = np.arange(len(source)) - np.repeat(first, np.diff(np.append(first, len(source)))) + 1
    return _Pieces(source, quantity[order], entry[order], number.astype(np.int64))


def _rows(rejects: pd.DataFrame, said: pd.DataFrame, pieces: _Pieces) -> pd.DataFrame:
    rows = rejects.iloc[pieces.source].reset_index(drop=True)
    nobody = pieces.entry < 0

    def by_person(column: str, otherwise: spans.ObjectArray) -> spans.ObjectArray:
        return np.where(nobody, otherwise, spans.pick(spans.texts(said[column]), pieces.entry))

    # The first piece keeps the event's key, so that an explanation of the whole event changes its row in place.
    keys = [key if n == 1 else f"{key}#{n}" for key, n in zip(rows["event_key"], pieces.number, strict=True)]
    return pd.DataFrame(
        {
            "time": rows["time"],
            "event_key": pd.Series(keys, dtype=object),
            "part_number": spans.texts(rows["part_number"]),
            "work_order": spans.texts(rows["work_order"]),
            "quantity": pieces.quantity,
            "scrap_reason": by_person("scrap_reason", spans.texts(rows["reject_reason"])),
            "scrap_category": by_person("scrap_category", np.full(len(rows), None, dtype=object)),
            "operator_id": by_person("entered_by", spans.texts(rows["operator_id"])),
        }
    )


def _shares(
    times: spans.IntArray, counts: FloatArray, said: pd.DataFrame
) -> tuple[FloatArray, list[tuple[int, int, float]]]:
    """What is left of each event unexplained, and (event, entry, parts) of what was explained."""
    left = counts.copy()
    shares: list[tuple[int, int, float]] = []
    starts, ends = spans.to_us(said["starts_at"]), spans.to_us(said["ends_at"])
    for entry, quantity in enumerate(said["quantity"].to_numpy(dtype=np.float64)):
        wanted = np.inf if np.isnan(quantity) else quantity
        for event in _about(times, int(starts[entry]), int(ends[entry])):
            taken = min(wanted, left[event])
            if taken > 0:
                shares.append((event, entry, float(taken)))
                left[event] -= taken
                wanted -= taken
    return left, shares


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
    known = costs[costs["currency"] == plant.currency].sort_values("since", kind="stable")
    for part, since, price in zip(known["part_number"], known["since"], known["material_cost_per_unit"], strict=True):
        prices[part].append((since, float(price)))
    return prices


def _price_on(prices: list[tuple[dt.date, float]], day: dt.date) -> float:
    return next((price for since, price in reversed(prices) if since <= day), np.nan)


def _rate(history: History[Decimal] | None, day: dt.date) -> float:
    rate = history.on(day) if history is not None else None
    return np.nan if rate is None else float(rate)
