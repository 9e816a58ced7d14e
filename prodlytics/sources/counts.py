"""What became of the rows of a file.

Belongs here: the numbers of `landed_file` and the equation they keep: rows in = stored + quarantined + duplicates.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass
class Counts:
    """Rows of one file; `rows_in` is counted while reading, the others while writing."""

    rows_in: int = 0
    stored: int = 0
    quarantined: int = 0
    duplicate: int = 0
    first_time: dt.datetime | None = None
    last_time: dt.datetime | None = None

    def heard(self, first: dt.datetime, last: dt.datetime) -> None:
        """Widen the span of event times."""
        self.first_time = first if self.first_time is None else min(first, self.first_time)
        self.last_time = last if self.last_time is None else max(last, self.last_time)

    @property
    def balanced(self) -> bool:
        """Whether every row is accounted for."""
        return self.rows_in == self.stored + self.quarantined + self.duplicate
