"""What derivations read, one machine at a time.

Belongs here: the reads that more than one asset makes. The SQL is in sql/queries.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from prodlytics.db.frames import read
from prodlytics.db.queries import sql

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    import psycopg

#: Samples before and after a window that the counter rules may look at.
CONTEXT_SAMPLES = 10


def of_machine(
    conn: psycopg.Connection, query: str, machine_id: str, start: dt.datetime, end: dt.datetime, **more: object
) -> pd.DataFrame:
    """Rows of a query of sql/queries that takes a machine and a span."""
    return read(conn, sql(query), {"machine_id": machine_id, "start": start, "end": end, **more})


def samples(
    conn: psycopg.Connection, query: str, machine_id: str, metrics: Iterable[str], start: dt.datetime, end: dt.datetime
) -> pd.DataFrame:
    """Samples of some tags of a machine with the context the query gives around the window."""
    return of_machine(conn, query, machine_id, start, end, metrics=sorted(set(metrics)), context=CONTEXT_SAMPLES)


def together(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Frames of all machines as one; the empty ones carry the columns."""
    import pandas as pd

    full = [frame for frame in frames if len(frame)]
    return pd.concat(full, ignore_index=True) if full else frames[0]


def share(part: float, whole: float) -> float | None:
    """A part of a whole; None where there is no whole."""
    return part / whole if whole else None


def seconds(frame: pd.DataFrame) -> float:
    """Length of all spans of a frame together."""
    return float((frame["ends_at"] - frame["starts_at"]).dt.total_seconds().sum())


def percent(value: float | None) -> str:
    """For people: one decimal, or that there is nothing to say."""
    return "no data" if value is None else f"{value:.1%}"
