"""What people book on a machine: how many parts, from when to when.

Belongs here: bookings (operator entries of kind `production`) as events and as running time. Does not belong here:
reasons and scrap, which are other kinds of entry.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from prodlytics.kpi import spans
from prodlytics.kpi.events import EVENT_OF, Events

#: Column of an entry that holds the parts of each kind.
QUANTITY_OF = {"good": "quantity", "reject": "reject_quantity", "rework": "rework_quantity"}


def booked_events(entries: pd.DataFrame, window: tuple[int, int]) -> list[Events]:
    """One event per booking and kind of part, at its last instant, if that lies in the window (microseconds).

    A booking is half-open like every span: one up to the end of a shift is that shift's, not the next one's.
    """
    booked = entries[entries["kind"] == "production"]
    began, ended = spans.to_us(booked["starts_at"]), spans.to_us(booked["ends_at"])
    at = np.where(ended == spans.MISSING, began, np.maximum(began, ended - 1))
    events = []
    for counted, column in QUANTITY_OF.items():
        count = pd.to_numeric(booked[column]).to_numpy(dtype=np.float64, na_value=np.nan)
        rows = np.flatnonzero((count > 0) & (at >= window[0]) & (at < window[1]))
        events.append(
            Events.of(
                at[rows],
                EVENT_OF[counted],
                spans.texts(booked["source_key"])[rows],
                count=count[rows],
                since=began[rows],
                operator_id=spans.texts(booked["entered_by"])[rows],
                part_number=spans.texts(booked["part_number"])[rows],
                work_order=spans.texts(booked["work_order"])[rows],
            )
        )
    return events


def said_spans(entries: pd.DataFrame, kind: str) -> tuple[spans.IntArray, spans.IntArray]:
    """Starts and ends of the entries of one kind that say both and take time, in order of start."""
    said = entries[(entries["kind"] == kind) & entries["ends_at"].notna()]
    began, ended = spans.to_us(said["starts_at"]), spans.to_us(said["ends_at"])
    order = np.argsort(began, kind="stable")
    order = order[ended[order] > began[order]]
    return began[order], ended[order]
