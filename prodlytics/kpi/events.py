"""Rows of `production_events` while they are being made.

Belongs here: their arrays, the order and part that goes on each, the finished frame. Does not belong here: where they
come from (`parts`, `alarms`, `bookings`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from prodlytics.kpi import spans

#: What is counted, and the event it makes.
EVENT_OF = {"good": "cycle_complete", "reject": "reject", "rework": "rework"}


@dataclass(frozen=True)
class Events:
    """Events of one source; times in microseconds since 1970 UTC, texts None where missing."""

    time: spans.IntArray
    event_type: spans.ObjectArray
    event_key: spans.ObjectArray
    count: npt.NDArray[np.float64]
    "Parts of the kind that the event type says; 0 for alarms."
    since: spans.IntArray
    cycle_time_ms: npt.NDArray[np.float64]
    fault_code: spans.ObjectArray
    flag: spans.ObjectArray
    operator_id: spans.ObjectArray
    part_number: spans.ObjectArray
    "Where the source itself says so; else the order says."
    work_order: spans.ObjectArray

    @classmethod
    def of(
        cls,
        time: spans.IntArray,
        event_type: str,
        event_key: str | spans.ObjectArray,
        *,
        count: npt.NDArray[np.float64] | None = None,
        since: spans.IntArray | None = None,
        cycle_time_ms: npt.NDArray[np.float64] | None = None,
        **texts: spans.ObjectArray,
    ) -> Events:
        """Events of one type; what is not given is missing."""
        size = len(time)
        nothing = np.full(size, None, dtype=object)
        return cls(
            time=time,
            event_type=np.full(size, event_type, dtype=object),
            event_key=np.full(size, event_key, dtype=object) if isinstance(event_key, str) else event_key,
            count=np.zeros(size) if count is None else count,
            since=np.full(size, spans.MISSING, dtype=np.int64) if since is None else since,
            cycle_time_ms=np.full(size, np.nan) if cycle_time_ms is None else cycle_time_ms,
            fault_code=texts.get("fault_code", nothing),
            flag=texts.get("flag", nothing),
            operator_id=texts.get("operator_id", nothing),
            part_number=texts.get("part_number", nothing),
            work_order=texts.get("work_order", nothing),
        )


def as_frame(machine_id: str, events: Sequence[Events], orders: pd.DataFrame, as_of: dt.datetime) -> pd.DataFrame:
    """The rows of one machine in order of time, with the order that was being worked on.

    Args:
        machine_id: Whose events they are.
        events: From all sources.
        orders: `work_order, part_number, started_at, ended_at`; of several at once the one started last counts.
        as_of: What was known; stored with each row.
    """
    time = np.concatenate([np.empty(0, dtype=np.int64), *(one.time for one in events)])
    since = np.concatenate([np.empty(0, dtype=np.int64), *(one.since for one in events)])
    count = np.concatenate([np.empty(0), *(one.count for one in events)])
    cycle_time = np.concatenate([np.empty(0), *(one.cycle_time_ms for one in events)])
    event_type, event_key = _texts(events, "event_type"), _texts(events, "event_key")
    order = np.lexsort((_rank(event_key), _rank(event_type), time))
    time, event_type, count = time[order], event_type[order], count[order]
    part, work_order = _with_orders(
        time, _texts(events, "part_number")[order], _texts(events, "work_order")[order], orders
    )
    nothing = np.full(len(time), None, dtype=object)
    return pd.DataFrame(
        {
            "time": spans.from_us(time),
            "machine_id": np.full(len(time), machine_id, dtype=object),
            "event_type": event_type,
            "event_key": event_key[order],
            "part_number": part,
            "work_order": work_order,
            "cycle_time_ms": cycle_time[order],
            **{f"{counted}_count": np.where(event_type == name, count, 0.0) for counted, name in EVENT_OF.items()},
            "reject_reason": nothing,
            "machine_state": nothing,
            "fault_code": _texts(events, "fault_code")[order],
            "operator_id": _texts(events, "operator_id")[order],
            "since": spans.from_us(since[order]),
            "flag": _texts(events, "flag")[order],
            "as_of": spans.from_us(np.full(len(time), spans.instant_us(as_of), dtype=np.int64)),
        }
    )


def _texts(events: Sequence[Events], name: str) -> spans.ObjectArray:
    return np.concatenate([np.empty(0, dtype=object), *(getattr(one, name) for one in events)])


def _rank(values: spans.ObjectArray) -> spans.IntArray:
    """A number for every distinct text, in order of the texts."""
    return np.asarray(pd.factorize(values, sort=True)[0], dtype=np.int64)


def _with_orders(
    time: spans.IntArray, part: spans.ObjectArray, work_order: spans.ObjectArray, orders: pd.DataFrame
) -> tuple[spans.ObjectArray, spans.ObjectArray]:
    """Part and order of each event; what the event itself says stays, and then no other order speaks for it."""
    orders = orders[orders["started_at"].notna()].sort_values(["started_at", "work_order"], kind="stable")
    began, ended = spans.to_us(orders["started_at"]), spans.to_us(orders["ended_at"])
    ended = np.where(ended == spans.MISSING, spans.FOREVER, ended)
    current = np.full(len(time), -1, dtype=np.int64)
    for number in range(len(orders)):
        current[np.searchsorted(time, began[number]) : np.searchsorted(time, ended[number])] = number
    says_nothing = spans.missing(part) & spans.missing(work_order)
    current = np.where(says_nothing, current, -1)
    ordered = current >= 0
    part, work_order = part.copy(), work_order.copy()
    part[ordered] = spans.texts(orders["part_number"])[current[ordered]]
    work_order[ordered] = spans.texts(orders["work_order"])[current[ordered]]
    return part, work_order
