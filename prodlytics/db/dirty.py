"""Dirty marks: quarter hours of a machine for which a derived dataset has to be computed anew.

Belongs here: leaving marks, claiming them, asking which hours have them. The writer of new data leaves a mark in the
same transaction; the computation claims it before it reads. A claim deletes the mark, so a mark made meanwhile by
another transaction is a new row and is not lost (READ COMMITTED, which is the default). Quarter hours, because a
production day in Kolkata starts at 00:30 UTC: a mark must belong to one day.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from prodlytics.db.queries import sql

if TYPE_CHECKING:
    import pandas as pd
    import psycopg

_QUARTER_US = 900_000_000
#: Characters of one cause.
_CAUSE_LENGTH = 200


def mark(conn: psycopg.Connection[Any], dataset: str, moments: Iterable[tuple[str, dt.datetime]], cause: str) -> None:
    """Mark (machine, moment) pairs; each moment stands for its quarter hour."""
    mark_each(conn, dataset, ((machine, moment, cause) for machine, moment in moments))


def mark_each(conn: psycopg.Connection[Any], dataset: str, marks: Iterable[tuple[str, dt.datetime, str]]) -> None:
    """Mark (machine, moment, cause); each moment stands for its quarter hour.

    A quarter hour that waits already keeps its cause and gets this one too: a restatement says everything that led to
    it. The marks are sorted first: two writers that mark the same hours in different orders would wait for each other.
    """
    utc = ((machine, moment.astimezone(dt.UTC), cause[:_CAUSE_LENGTH]) for machine, moment, cause in marks)
    rows = {(m, t.replace(minute=t.minute // 15 * 15, second=0, microsecond=0)): cause for m, t, cause in utc}
    pairs = sorted(rows)
    conn.execute(
        sql("insert_marks"),
        {
            "dataset": dataset,
            "machines": [machine for machine, _ in pairs],
            "quarters": [quarter for _, quarter in pairs],
            "causes": [rows[pair] for pair in pairs],
        },
    )


def mark_spans(
    conn: psycopg.Connection[Any], datasets: Iterable[str], spans: pd.DataFrame, cause: str | Sequence[str]
) -> None:
    """Mark every quarter hour that spans touch.

    Args:
        conn: An open connection.
        datasets: What has to be computed anew.
        spans: Columns machine_id, starts_at, ends_at (an instant: both the same).
        cause: Why, for the restatements; one for all or one for each span.
    """
    import numpy as np
    import pandas as pd

    from prodlytics.db.frames import microseconds

    if spans.empty:
        return
    first = microseconds(spans["starts_at"]) // _QUARTER_US
    last = np.maximum((microseconds(spans["ends_at"]) - 1) // _QUARTER_US, first)
    counts = last - first + 1
    rows = np.repeat(np.arange(len(spans)), counts)
    nth = first[rows] + np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    causes = np.array([cause] * len(spans) if isinstance(cause, str) else list(cause), dtype=object)
    found = pd.DataFrame({"machine_id": spans["machine_id"].to_numpy()[rows], "nth": nth, "cause": causes[rows]})
    found = found.drop_duplicates(["machine_id", "nth"])
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    marks = [(machine, epoch + dt.timedelta(minutes=15 * int(n)), why) for machine, n, why in found.to_numpy()]
    for dataset in sorted(datasets):
        mark_each(conn, dataset, marks)


def note_arrivals(
    conn: psycopg.Connection[Any], moments: Iterable[tuple[str, dt.datetime]], datasets: Iterable[str], cause: str
) -> None:
    """Say that data arrived, without waiting for anybody; `settle_arrivals` turns what was said into marks.

    `mark` waits where a computation has claimed the same mark and has not committed, which takes seconds; a writer of
    live data cannot. Arrivals are rows of their own with no key, so inserting one never waits.
    """
    pairs = sorted(set(moments))
    conn.execute(
        "INSERT INTO arrival (datasets, machine_id, quarter, cause)"
        " SELECT %(datasets)s, machine_id, quarter, %(cause)s"
        " FROM unnest(%(machines)s::text[], %(quarters)s::timestamptz[]) AS pair (machine_id, quarter)",
        {
            "datasets": list(datasets),
            "cause": cause[:_CAUSE_LENGTH],
            "machines": [machine for machine, _ in pairs],
            "quarters": [quarter for _, quarter in pairs],
        },
    )


def settle_arrivals(conn: psycopg.Connection[Any]) -> int:
    """Turn arrivals into marks, in the caller's transaction, which should hold nothing else.

    An arrival that is committed while this runs stays for the next time: it is deleted with its mark or not at all.

    Returns:
        How many marks were made or renewed.
    """
    return conn.execute(sql("settle_arrivals")).rowcount


def claim(
    conn: psycopg.Connection[Any], dataset: str, start: dt.datetime, end: dt.datetime
) -> list[tuple[str, dt.datetime, str]]:
    """Take the marks of a dataset in [start, end): (machine, quarter hour, cause).

    One after the other in the order in which `mark_each` writes them: in any other a writer of the same marks and this
    could each wait for the other.
    """
    return conn.execute(
        "WITH mine AS MATERIALIZED ("
        " SELECT dataset, machine_id, quarter FROM dirty_mark WHERE dataset = %s AND quarter >= %s AND quarter < %s"
        ' ORDER BY machine_id COLLATE "C", quarter FOR UPDATE)'
        " DELETE FROM dirty_mark d USING mine"
        " WHERE d.dataset = mine.dataset AND d.machine_id = mine.machine_id AND d.quarter = mine.quarter"
        " RETURNING d.machine_id, d.quarter, d.cause",
        (dataset, start, end),
    ).fetchall()


def times(conn: psycopg.Connection[Any], datasets: Iterable[str]) -> list[dt.datetime]:
    """The quarter hours for which any of these datasets is marked and can be computed (`hot.py`)."""
    from prodlytics.db import hot

    rows = conn.execute(sql("select_dirty_times"), {"datasets": list(datasets), **hot.of_marks()}).fetchall()
    return [quarter for (quarter,) in rows]
