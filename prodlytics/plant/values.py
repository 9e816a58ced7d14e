"""The kinds of value a plant file holds: wall times, zones, amounts.

Belongs here: what one value may be, and the sentence that says what to write instead. Does not belong here: which
settings there are (`model.py`).
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

#: Before everything: the start of a value that has always held.
ALWAYS = dt.date(1970, 1, 1)


class Strict(BaseModel):
    """A mistyped key is an error, not a silently ignored setting."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _written_wall_time(raw: Any) -> Any:
    # A bare 0600 would arrive as the number 600, which pydantic takes for ten minutes past midnight.
    if isinstance(raw, int | float):
        raise ValueError('write hours and minutes, e.g. "06:00"')
    return raw


def _whole_minutes(value: dt.time) -> dt.time:
    if value.tzinfo is not None or value.second or value.microsecond:
        raise ValueError('write local wall time to the minute, without a zone, e.g. "06:00"')
    return value


def _known_zone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError(f"{value!r} is not an IANA time zone; write one such as America/Chicago")
    return value


def _as_text(raw: Any) -> Any:
    # YAML reads the key 1 as a number, the controller's 1.0 and the file's 1 are the same word.
    if isinstance(raw, bool):
        return str(raw).lower()
    if isinstance(raw, int | float):
        return str(int(raw)) if raw == int(raw) else str(raw)
    return raw


def _text_keys(raw: Any) -> Any:
    return {_as_text(key): value for key, value in raw.items()} if isinstance(raw, dict) else raw


WallTime = Annotated[dt.time, BeforeValidator(_written_wall_time), AfterValidator(_whole_minutes)]
Zone = Annotated[str, AfterValidator(_known_zone)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
NativeValues = BeforeValidator(_text_keys)
