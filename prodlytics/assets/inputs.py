"""What derivations read, one machine at a time.

Belongs here: the reads that more than one asset makes. The SQL is in sql/queries.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from prodlytics.db.frames import read, read_many, read_packed
from prodlytics.db.queries import sql

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    import psycopg

    from prodlytics.assets.window import Window
    from prodlytics.plant.model import Machine

#: Samples before and after a window that the counter rules may look at (`kpi.counters.REACH`).
CONTEXT_SAMPLES = 15
#: How long before a window a silence is looked for; what was in force for longer is taken as never interrupted.
LOOK_BACK = dt.timedelta(days=3)


def of_machine(
    conn: psycopg.Connection, query: str, machine_id: str, start: dt.datetime, end: dt.datetime, **more: object
) -> pd.DataFrame:
    """Rows of a query of sql/queries that takes a machine and a span."""
    return read(conn, sql(query), {"machine_id": machine_id, "start": start, "end": end, **more})


def parts_of(conn: psycopg.Connection, machine_id: str, start: dt.datetime, end: dt.datetime) -> pd.DataFrame:
    """Counted parts of a machine in order of time, type and key: a month of a fast one are 110,000 rows."""
    asked = {"machine_id": machine_id, "start": start, "end": end}
    return read_packed(conn, sql("select_parts"), asked, ("time", "since"))


def samples(
    conn: psycopg.Connection,
    query: str,
    machine_id: str,
    metrics: Iterable[str],
    start: dt.datetime,
    end: dt.datetime,
    **more: object,
) -> pd.DataFrame:
    """Samples of some tags of a machine with the context the query gives around the window."""
    asked = {"machine_id": machine_id, "start": start, "end": end, "metrics": sorted(set(metrics))}
    return read_many(conn, sql(query), {**asked, "context": CONTEXT_SAMPLES, **more})


def silences(
    conn: psycopg.Connection,
    machine: Machine,
    window: Window,
    said: pd.DataFrame,
    metrics: Iterable[str],
    ahead: dt.timedelta = dt.timedelta(0),
    query: str = "select_feed_gaps",
) -> pd.DataFrame:
    """Spans in which nothing was heard of a machine, in the window and as far back as samples of `metrics` reach.

    What was in force when the window began may have been interrupted before it; what ends it may come `ahead` of it.
    `query` finds them: by reading all samples, or (`select_silences`) by walking through a short window.
    """
    import pandas as pd

    if machine.silence_after_s is None:  # its source reports its own loss
        return pd.DataFrame({name: pd.Series(dtype="datetime64[us, UTC]") for name in ("starts_at", "ends_at")})
    earliest = said.loc[said["metric_name"].isin(set(metrics)), "time"].min()
    # The earliest of no samples is NaT, which is neither before nor after anything.
    start = max(earliest.to_pydatetime(), window.start - LOOK_BACK) if earliest < window.start else window.start
    limit_us = machine.silence_after_s * 1e6
    # A silence that began just before a closed day ended is known as far as anything is.
    now = max(window.cover_until, window.as_of)
    return of_machine(conn, query, machine.id, start, window.end + ahead, silence_us=limit_us, now=now)


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
