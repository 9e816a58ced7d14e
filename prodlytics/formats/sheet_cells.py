"""What a cell of a spreadsheet says: numbers, days, times of day, moments, durations, shares.

Belongs here: one cell. What cannot be read is None; whether that matters is the caller's. Does not belong here: zones.
A moment is a wall time.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal, InvalidOperation
from typing import Literal

from prodlytics.formats.sheet import Cell

DateOrder = Literal["dmy", "mdy", "ymd"]
DecimalMark = Literal[".", ","]
DurationUnit = Literal["s", "min", "h"]

_UNIT_S = {"s": 1, "min": 60, "h": 3600}
_SPELLED_UNITS = {"s": 1, "sec": 1, "min": 60, "mins": 60, "minutes": 60, "m": 60, "h": 3600, "hr": 3600, "hrs": 3600}
_DATE = re.compile(r"(\d{1,4})[./-](\d{1,2})[./-](\d{2,4})")
_CLOCK = re.compile(r"(\d{1,2})[:.](\d{2})(?:[:.](\d{2})(?:\.\d+)?)?\s*([ap])?\.?m?\.?", re.IGNORECASE)
#: Day 0 of Excel's days, for cells that hold a day and are not formatted as one.
_EXCEL = dt.datetime.combine(dt.date(1899, 12, 30), dt.time())
_EXCEL_DAYS = (20_000, 80_000)


def text_of(cell: Cell) -> str | None:
    """A cell as text; a number that is whole without its point."""
    if cell is None:
        return None
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip() or None


def number_of(cell: Cell, decimal: DecimalMark) -> Decimal | None:
    """A number, with or without marks between thousands."""
    if isinstance(cell, bool) or cell is None:
        return None
    if isinstance(cell, int | float):
        return Decimal(repr(cell))
    if not isinstance(cell, str):
        return None
    thousands = "," if decimal == "." else "."
    bare = re.sub(r"[\s\u00a0\u202f']", "", cell).replace(thousands, "").replace(decimal, ".")
    try:
        number = Decimal(bare)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def share_of(cell: Cell, decimal: DecimalMark, percent: bool) -> Decimal | None:
    """A ratio: 0.615, 61.5 % or, in a column that is `percent`, 61.5."""
    if isinstance(cell, str) and cell.rstrip().endswith("%"):
        cell, percent = cell.rstrip().removesuffix("%"), True
    elif percent and isinstance(cell, int | float) and abs(cell) <= 1:
        # A cell formatted as percent holds the ratio.
        percent = False
    number = number_of(cell, decimal)
    return number / 100 if number is not None and percent else number


def day_of(cell: Cell, order: DateOrder | None) -> dt.date | None:
    """A day; years of two digits are of this century."""
    if isinstance(cell, dt.datetime):
        return cell.date()
    if isinstance(cell, dt.date):
        return cell
    if isinstance(cell, int | float) and not isinstance(cell, bool) and _EXCEL_DAYS[0] < cell < _EXCEL_DAYS[1]:
        return (_EXCEL + dt.timedelta(days=int(cell))).date()
    match = _DATE.match(cell.strip()) if isinstance(cell, str) else None
    if match is None:
        return None
    parts = [int(part) for part in match.groups()]
    order = "ymd" if len(match[1]) == 4 else order
    if order is None:
        return None
    year, month, day = (parts[order.index(letter)] for letter in "ymd")
    try:
        return dt.date(year + 2000 if year < 100 else year, month, day)
    except ValueError:
        return None


def clock_of(cell: Cell) -> dt.time | None:
    """A time of day: a time, a fraction of a day, `6:05`, `06:05:30`, `6:05 PM`."""
    if isinstance(cell, dt.datetime):
        return cell.time()
    if isinstance(cell, dt.time):
        return cell
    if isinstance(cell, float | int) and not isinstance(cell, bool) and 0 <= cell < 1:
        return (_EXCEL + dt.timedelta(seconds=round(float(cell) * 86_400))).time()
    match = _CLOCK.fullmatch(cell.strip()) if isinstance(cell, str) else None
    if match is None:
        return None
    hour, minute, second = int(match[1]), int(match[2]), int(match[3] or 0)
    if match[4]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if match[4].lower() == "p" else 0)
    try:
        return dt.time(hour, minute, second)
    except ValueError:
        return None


def moment_of(cell: Cell, order: DateOrder | None) -> dt.datetime | None:
    """A day with a time of day in one cell, as a wall time."""
    if isinstance(cell, dt.datetime):
        return cell.replace(tzinfo=None)
    if isinstance(cell, int | float) and not isinstance(cell, bool) and _EXCEL_DAYS[0] < cell < _EXCEL_DAYS[1]:
        return _EXCEL + dt.timedelta(seconds=round(float(cell) * 86_400))
    if not isinstance(cell, str):
        return None
    date, _, rest = cell.strip().replace("T", " ").partition(" ")
    day, clock = day_of(date, order), clock_of(rest.strip())
    return None if day is None or clock is None else dt.datetime.combine(day, clock)


def duration_of(cell: Cell, unit: DurationUnit, decimal: DecimalMark) -> dt.timedelta | None:
    """A length of time: a number of `unit`, `1:30` (hours and minutes), `90 min`, or a time of a spreadsheet."""
    if isinstance(cell, dt.timedelta):
        return cell
    if isinstance(cell, dt.time):
        return dt.timedelta(hours=cell.hour, minutes=cell.minute, seconds=cell.second)
    seconds = _UNIT_S[unit]
    if isinstance(cell, str):
        if match := re.fullmatch(r"(\d+):(\d{2})(?::(\d{2}))?", cell.strip()):
            return dt.timedelta(hours=int(match[1]), minutes=int(match[2]), seconds=int(match[3] or 0))
        if (match := re.fullmatch(r"([\d.,]+)\s*([a-z]+)\.?", cell.strip().lower())) and match[2] in _SPELLED_UNITS:
            cell, seconds = match[1], _SPELLED_UNITS[match[2]]
    number = number_of(cell, decimal)
    if number is None or number < 0 or number > 10_000_000:
        return None
    return dt.timedelta(seconds=float(number * seconds))
