"""What derivations read, by machine.

Belongs here: the reads that more than one asset makes. The SQL is in sql/queries.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from prodlytics.db.frames import read, read_many, unpacked
from prodlytics.db.queries import sql

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd
    import psycopg

    from prodlytics.assets.window import Window
    from prodlytics.plant.model import Machine, Plant

    #: Aware start and end by machine.
    Spans = dict[str, tuple[dt.datetime, dt.datetime]]

#: Samples before and after a window that the counter rules may look at (`kpi.counters.REACH`).
CONTEXT_SAMPLES = 15
#: How long before a window a silence is looked for; what was in force for longer is taken as never interrupted.
LOOK_BACK = dt.timedelta(days=3)
#: Machines read at once. A month of so many is some hundred MB.
AT_ONCE = 12
#: Queries that pack the instants of rows that are otherwise alike, and the columns that hold them.
PACKED = {"select_parts": ("time", "since")}


def of_machine(
    conn: psycopg.Connection, query: str, machine_id: str, start: dt.datetime, end: dt.datetime, **more: object
) -> pd.DataFrame:
    """Rows of a query of sql/queries that takes a machine and a span."""
    return read(conn, sql(query), {"machine_id": machine_id, "start": start, "end": end, **more})


def parts_of(conn: psycopg.Connection, machine_id: str, start: dt.datetime, end: dt.datetime) -> pd.DataFrame:
    """Counted parts of a machine in order of time, type and key: a month of a fast one are 110,000 rows."""
    return unpacked(of_machine(conn, "select_parts", machine_id, start, end), PACKED["select_parts"])


def of_each(conn: psycopg.Connection, plant: Plant, spans: Spans, *queries: str) -> Iterator[tuple[Any, ...]]:
    """Every machine of the plant with what `of_machine` gives of it in its span, a frame for each query.

    Several machines are asked for at once (one by one took a third of an hourly chain), but never the whole of a large
    plant: memory does not grow with it.
    """
    for first in range(0, len(plant.machines), AT_ONCE):
        machines = plant.machines[first : first + AT_ONCE]
        asked = {machine.id: spans[machine.id] for machine in machines}
        found = [_of_machines(conn, query, asked) for query in queries]
        for machine in machines:
            yield (
                machine,
                *(
                    unpacked(rows.pop(machine.id), PACKED[query]) if query in PACKED else rows.pop(machine.id)
                    for query, rows in zip(queries, found, strict=True)
                ),
            )


def span_of_each(plant: Plant, start: dt.datetime, end: dt.datetime) -> Spans:
    """The same span for all machines."""
    return {machine.id: (start, end) for machine in plant.machines}


def widened(conn: psycopg.Connection, query: str, spans: Spans) -> Spans:
    """The spans that a query of one row (starts_at, ends_at) makes of these."""
    return {
        machine_id: (row["starts_at"].iloc[0].to_pydatetime(), row["ends_at"].iloc[0].to_pydatetime())
        for machine_id, row in _of_machines(conn, query, spans).items()
    }


def as_arrays(spans: Spans) -> dict[str, list[object]]:
    """Spans as the parameters machines, starts and ends."""
    return {
        "machines": list(spans),
        "starts": [start for start, _ in spans.values()],
        "ends": [end for _, end in spans.values()],
    }


def _of_machines(conn: psycopg.Connection, query: str, spans: Spans) -> dict[str, pd.DataFrame]:
    of_one = sql(query).replace("%(machine_id)s", "asked.machine_id")
    of_one = of_one.replace("%(start)s", "asked.starts_at").replace("%(end)s", "asked.ends_at")
    # The rows of a machine stay in the query's order: it is run for one after the other, nothing can be merged with it.
    rows = read(conn, sql("select_of_each").replace("/* of one */", of_one), as_arrays(spans))
    machine_of_row = rows["of_machine"].to_numpy(dtype=object)
    found = {}
    for machine_id in spans:
        own = (machine_of_row == machine_id).nonzero()[0]
        first, last = (own[0], own[-1] + 1) if len(own) else (0, 0)
        found[machine_id] = rows.iloc[first:last, :-1].reset_index(drop=True)
    return found


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
