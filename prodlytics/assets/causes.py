"""Why rows are computed again: what the claimed marks say, for each machine and production day.

Belongs here: finding the cause of a row. A run over a month claims the marks of a month; a restated hour must name what
led to that hour, not all that happened in the plant. Does not belong here: leaving and claiming marks (`db.dirty`).
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


class Causes:
    """The causes of one piece of a window."""

    def __init__(
        self, claimed: Iterable[tuple[str, dt.datetime, str]], edges: Sequence[dt.datetime], otherwise: str
    ) -> None:
        """From claimed marks.

        Args:
            claimed: Machine, quarter hour, cause.
            edges: Edges of the production days.
            otherwise: What is said where nothing was marked.
        """
        self._edges = list(edges)
        self._otherwise = otherwise
        self._said: dict[tuple[str | None, int | None], set[str]] = {}
        for machine, quarter, cause in claimed:
            day = self._day(quarter)
            for place in ((machine, day), (machine, None), (None, day), (None, None)):
                self._said.setdefault(place, set()).add(cause)
        self._known: dict[tuple[str, int], str] = {}

    def of(self, machine: str, moment: dt.datetime) -> str:
        """Why figures of a machine are computed: what was marked for it on that day; else, for it on another day (a
        stop reaches over the day's edge); else for other machines on that day (a figure of the plant).
        """
        place = (machine, self._day(moment))
        if place not in self._known:
            nearest = (place, (machine, None), (None, place[1]), (None, None))
            found = next((self._said[one] for one in nearest if one in self._said), {self._otherwise})
            self._known[place] = "; ".join(sorted(found))
        return self._known[place]

    def of_rows(self, machines: pd.Series[str], moments: pd.Series[pd.Timestamp]) -> list[str]:
        """The same for many rows."""
        return [self.of(machine, moment) for machine, moment in zip(machines, moments, strict=True)]

    @property
    def together(self) -> str:
        """All causes."""
        return "; ".join(sorted(self._said.get((None, None), {self._otherwise})))

    def _day(self, moment: dt.datetime) -> int:
        return bisect_right(self._edges, moment)
