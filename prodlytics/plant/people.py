"""Who the plant's people are, as the plant file names them.

Belongs here: who gets what the plant reports, who is responsible for which shift. Does not belong here: what people
enter (`operator_entries`), sending them anything.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from pydantic import Field

from prodlytics.plant.values import ALWAYS, Strict


class Contact(Strict):
    """Who gets what the plant reports; addressed by role."""

    role: str
    name: str
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")
    phone: str | None = Field(default=None, pattern=r"^\+[1-9][0-9]{6,14}$")
    "With the country, for text messages: +13125550123."


class Supervisor(Strict):
    """Who is responsible for a shift from `since` on; `lines` None means all. One named for a line goes first."""

    since: dt.date = ALWAYS
    shift: str
    lines: tuple[str, ...] | None = None
    name: str


def supervisor_of(supervisors: Iterable[Supervisor], shift: str, line: str, day: dt.date) -> str | None:
    """Who was responsible for a shift of a line on a production day; None where nobody is named."""
    found = [
        (one.lines is not None, one.since, one.name)
        for one in supervisors
        if one.shift == shift and one.since <= day and (one.lines is None or line in one.lines)
    ]
    return max(found)[2] if found else None
