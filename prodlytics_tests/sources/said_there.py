"""A system that is asked without a network: what it has is a list, and it may fail on the way.

Belongs here: the adapter other tests give a content. Does not belong here: HTTP (`test_connectors.py`), vendors.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from prodlytics.sources.ask import SourceUnavailableError
from prodlytics.sources.connectors import Dataset


@dataclass
class SaidThere:
    """An adapter over rows; `fails_after` that many pages it breaks off."""

    resource: str
    dataset: Dataset
    rows: list[dict[str, Any]] = field(default_factory=list)
    source: str = "erp"
    said_by: Literal["erp", "machinemetrics"] = "erp"
    overlap: dt.timedelta = dt.timedelta(minutes=10)
    timezone: str | None = None
    reach: dt.timedelta | None = None
    complete: bool = True
    fails_after: int | None = None

    def pages(self, since: dt.datetime | None) -> Iterator[Iterable[Mapping[str, Any]]]:
        """Pages of three rows, of those changed at or after `since`."""
        found = [row for row in self.rows if since is None or row["source_modified_at"] >= since.isoformat()]
        for number, begin in enumerate(range(0, max(len(found), 1), 3)):
            if self.fails_after is not None and number >= self.fails_after:
                raise SourceUnavailableError("the line broke")
            yield found[begin : begin + 3]

    def parse(self, page: Any) -> list[Mapping[str, object]]:
        """Rows are in our names already."""
        return list(page)
