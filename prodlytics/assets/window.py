"""The span of time an asset is asked for, and what was known of it.

Belongs here: one type for "from, to, now, newest data". One day and a year are the same path.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from prodlytics.db.queries import sql
from prodlytics.plant.calendar import production_date_of, production_day

if TYPE_CHECKING:
    import dagster as dg
    import psycopg

    from prodlytics.plant.model import Plant


@dataclass(frozen=True)
class Window:
    """A half-open span [start, end) of production days, UTC.

    Attributes:
        as_of: What the rows computed from it can know: the earlier of now and the newest sample, but of closed days no
            less than that they are over. Where every feed died, their rest is told as unknown, and what comes later
            restates it.
        cover_until: How far the timeline is told: to the end of closed days, in the running one to `as_of`.
    """

    start: dt.datetime
    end: dt.datetime
    as_of: dt.datetime
    cover_until: dt.datetime

    def pieces(self, edges: list[dt.datetime], days: int = 31) -> Iterator[Window]:
        """The same in pieces of so many production days: each is one transaction, and memory stays flat over a year.

        Args:
            edges: The edges of the production days in the window, first and last included (`day_edges`).
            days: Production days in a piece.
        """
        for first in range(0, len(edges) - 1, days):
            start, end = edges[first], edges[min(first + days, len(edges) - 1)]
            yield replace(self, start=start, end=end, cover_until=max(start, min(end, self.cover_until)))


def day_edges(plant: Plant, start: dt.datetime, end: dt.datetime) -> list[dt.datetime]:
    """Edges of the production days in [start, end), both included; start and end are such edges."""
    edges = [start]
    day = production_date_of(plant, start)
    while edges[-1] < end:
        edges.append(min(production_day(plant, day)[1], end))
        day += dt.timedelta(days=1)
    return edges


def open_window(context: dg.AssetExecutionContext, conn: psycopg.Connection) -> Window:
    """The window of this run's partitions, with what is known now."""
    asked = context.partition_time_window
    now = dt.datetime.now(dt.UTC)
    row = conn.execute(sql("select_watermark"), {"now": now}).fetchone()
    newest = row[0] if row and row[0] else None
    return make_window(asked.start.astimezone(dt.UTC), asked.end.astimezone(dt.UTC), now, newest)


def make_window(start: dt.datetime, end: dt.datetime, now: dt.datetime, newest: dt.datetime | None) -> Window:
    """A window from its span, the clock and the newest event time in the store (None: nothing there yet)."""
    as_of = min(now, newest or now)
    cover = end if end <= now else max(start, as_of)
    return Window(start, end, max(as_of, cover) if end <= now else as_of, min(cover, end))
