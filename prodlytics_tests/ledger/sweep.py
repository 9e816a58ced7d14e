"""The ledger by the rules of docs/numbers.md, piece by piece between two edges; nothing vectorized, nothing shared.

Whole microseconds. Independent of the product's code on purpose; slow on purpose.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
HOUR_US = 3_600_000_000
#: What the reasons of `kpi.floor.SETTINGS` are; `X_NEW` is a code the plant does not know.
LOSS = {"MECH_A": "failure", "SETUP_A": "changeover", "PM_A": "planned_stop", "MATL_A": "other_stop", "X_NEW": None}
FAULT_REASON = {"E1": "MECH_A"}


class State(NamedTuple):
    """What the machine did; `began` is earlier than `start` where a state reaches in from before."""

    start: int
    end: int
    name: str
    fault: str | None
    began: int


class Plan(NamedTuple):
    """What was planned."""

    start: int
    end: int
    kind: str
    shift: str | None
    date: dt.date


class Said(NamedTuple):
    """What a person said; no end: to the end of the stop in which it begins."""

    start: int
    end: int | None
    code: str
    entered: int
    key: str


class Piece(NamedTuple):
    """One row of the ledger."""

    start: int
    end: int
    bucket: str
    plan: str
    state: str
    reason: str | None
    stop: int | None
    shift: str | None
    date: dt.date
    hour: int


@dataclass(frozen=True)
class Shop:
    """Everything a ledger is made of."""

    states: Sequence[State]
    plan: Sequence[Plan]
    said: Sequence[Said]
    micro_stop_s: Mapping[dt.date, float]
    "The threshold from each production date on."
    zone: ZoneInfo
    boundary: dt.time


class Stop(NamedTuple):
    """A longest span of stopped states; its name is the instant it really began."""

    start: int
    end: int
    name: int


def us(instant: dt.datetime) -> int:
    """Microseconds since 1970."""
    return (instant - EPOCH) // dt.timedelta(microseconds=1)


def instant(microseconds: int) -> dt.datetime:
    """The other way round."""
    return EPOCH + dt.timedelta(microseconds=microseconds)


def ledger(shop: Shop, low: int, high: int) -> list[Piece]:
    """Rows in [low, high), as far as states are told; equal neighbours are one."""
    high = min(high, max((state.end for state in shop.states), default=low))
    stops = stops_of(shop.states)
    said = [(start, end, one) for one in shop.said for start, end in _holds(one, stops)]
    micro = {stop.name: _is_micro(stop, shop) for stop in stops}
    boundaries = _boundaries(shop, low, high)
    edges = {low, high}
    for rows in (shop.states, shop.plan, said):
        edges |= {edge for row in rows for edge in row[:2]}
    edges |= {hour for opens, closes in boundaries for hour in range(opens, closes, HOUR_US)}
    inside = sorted(edge for edge in edges if low <= edge <= high)
    pieces: list[Piece] = []
    for start, end in pairwise(inside):
        state = next((s for s in shop.states if s.start <= start < s.end), None)
        plan = next(p for p in shop.plan if p.start <= start < p.end)
        stop = next((s for s in stops if s.start <= start < s.end), None)
        words = [one for begin, finish, one in said if begin <= start < finish]
        word = max(words, key=lambda one: (one.entered, one.key)).code if words else None
        bucket, reason, named = _what(state, plan.kind, stop, word, micro)
        name = "unknown" if state is None else state.name
        hour = _hour(start, boundaries, shop.plan)
        pieces.append(Piece(start, end, bucket, plan.kind, name, reason, named, plan.shift, plan.date, hour))
    return _joined(pieces)


def stops_of(states: Sequence[State]) -> list[Stop]:
    """Longest spans in which the machine was neither running nor unknown."""
    stops: list[Stop] = []
    for state in sorted(states):
        if state.name in ("running", "unknown"):
            continue
        if stops and stops[-1].end == state.start:
            stops[-1] = stops[-1]._replace(end=state.end)
        else:
            stops.append(Stop(state.start, state.end, min(state.start, state.began)))
    return stops


def _holds(one: Said, stops: list[Stop]) -> list[tuple[int, int]]:
    if one.end is not None:
        return [(one.start, one.end)] if one.end > one.start else []
    return [(one.start, stop.end) for stop in stops if stop.start <= one.start < stop.end]


def _is_micro(stop: Stop, shop: Shop) -> bool:
    inside = [
        (max(stop.start, p.start), min(stop.end, p.end), p)
        for p in sorted(shop.plan)
        if p.kind in ("planned", "planned_stop") and p.start < stop.end and p.end > stop.start
    ]
    if not inside:
        return False
    planned = sum(end - start for start, end, p in inside if p.kind == "planned")
    threshold = [s for since, s in sorted(shop.micro_stop_s.items()) if since <= inside[0][2].date][-1]
    return planned < threshold * 1_000_000


def _what(
    state: State | None, plan: str, stop: Stop | None, word: str | None, micro: Mapping[int, bool]
) -> tuple[str, str | None, int | None]:
    """Bucket, reason and stop of an instant."""
    if state is not None and state.name == "running":
        return "running", None, None
    if plan in ("not_scheduled", "break"):
        return plan, None, None
    if state is None or stop is None:
        return ("planned_stop" if plan == "planned_stop" else "unknown"), None, None
    by_fault = FAULT_REASON.get(state.fault or "")
    reason = word or by_fault
    if plan == "planned_stop":
        bucket = "planned_stop"
    elif word and LOSS[word]:
        bucket = str(LOSS[word])
    elif micro[stop.name]:
        bucket = "micro_stop"
    elif by_fault and not word:
        bucket = str(LOSS[by_fault])
    else:
        bucket = {"fault": "failure", "setup": "changeover"}.get(state.name, "other_stop")
    return bucket, reason, stop.name


def _boundaries(shop: Shop, low: int, high: int) -> list[tuple[int, int]]:
    """Production days around [low, high)."""
    first = instant(low).astimezone(shop.zone).date() - dt.timedelta(days=2)
    dates = [first + dt.timedelta(days=n) for n in range((high - low) // (20 * HOUR_US) + 6)]
    starts = [us(dt.datetime.combine(date, shop.boundary, tzinfo=shop.zone).astimezone(dt.UTC)) for date in dates]
    return list(pairwise(starts))


def _hour(at: int, boundaries: list[tuple[int, int]], plan: Sequence[Plan]) -> int:
    """Start of the hour, or the instant in it at which the production date changed."""
    opens = next(opens for opens, closes in boundaries if opens <= at < closes)
    hour = opens + (at - opens) // HOUR_US * HOUR_US
    rows = sorted(plan)
    turns = [b.start for a, b in pairwise(rows) if a.date != b.date and hour <= b.start <= at]
    return max([hour, *turns])


def _joined(pieces: list[Piece]) -> list[Piece]:
    joined: list[Piece] = []
    for piece in pieces:
        if joined and joined[-1].end == piece.start and joined[-1][2:] == piece[2:]:
            joined[-1] = joined[-1]._replace(end=piece.end)
        else:
            joined.append(piece)
    return joined
