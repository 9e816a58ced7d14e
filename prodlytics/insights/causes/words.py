"""What a model's answer rests on, as sentences with the numbers.

Belongs here: from contributions of columns to sentences a person can check against the trend. Evidence, not proof: the
wording says what was seen, never that it was the cause. Does not belong here: computing contributions (`answer`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

SENTENCES = 3
_WINDOW = {"60": "in the minute before", "300": "in the five minutes before"}
_FIGURE = {"mean": "averaged", "min": "went down to", "max": "went up to", "last": "was last at"}
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_COUNTS = {
    "stops_1h": "stops in the hour before",
    "stops_24h": "stops in the 24 hours before",
    "alarms_5min": "alarms in the five minutes before",
    "alarms_24h": "alarms in the 24 hours before",
    "parts_5min": "parts in the five minutes before",
    "rejects_1h": "rejected parts in the hour before",
}
_NAMES = {
    "state": "the machine went to state {}",
    "fault_code": "the controller showed fault {}",
    "shift": "it was {}",
    "part_number": "part {} was being made",
    "material": "the material was {}",
    "operator_id": "{} was at the machine",
    "previous_cause": "the stop before was {}",
}


@dataclass(frozen=True)
class Seen:
    """One column of one stop.

    Attributes:
        value: As it was, not relative to what is usual; a name as text.
        usual: Median on the machine; None for names.
        spread: Interquartile range on the machine; None for names.
    """

    column: str
    value: Any
    usual: float | None = None
    spread: float | None = None


def sentences(seen: list[Seen]) -> list[str]:
    """Sentences for the columns that spoke most for an answer, strongest first; one for each tag."""
    told: dict[str, str] = {}
    for one in seen:
        subject = one.column.split("|")[0]
        text = _sentence(one) if subject not in told else None
        if text is not None:
            told[subject] = text
        if len(told) == SENTENCES:
            break
    return list(told.values())


def _sentence(one: Seen) -> str | None:
    if one.value is None or (isinstance(one.value, float) and math.isnan(one.value)):
        # That something was missing is seldom worth a sentence; the model may still have used it.
        return None
    tag, *kind = one.column.split("|")
    if not kind:
        return _of_history(one)
    if kind[0] == "text":
        return f"{tag} was {one.value}"
    value, usual = float(one.value), one.usual
    if kind[0] == "age_s":
        return f"{tag} had last been heard {_span(value)} before"
    if usual is not None and _figure(value) == _figure(usual):
        return None  # what is as usual is no evidence for anybody, though the model may have used it
    if kind[0] == "n":
        return f"{tag} was heard {value:.0f} times {_WINDOW[kind[1]]}{_against(value, usual, ' times')}"
    if kind[0] == "std":
        return f"{tag} moved by {_figure(value)} {_WINDOW[kind[1]]}{_against(value, usual)}"
    if kind[0] == "value":
        return f"{tag} was at {_figure(value)}{_against(value, usual)}"
    return f"{tag} {_FIGURE[kind[0]]} {_figure(value)} {_WINDOW[kind[1]]}{_against(value, usual)}"


def _of_history(one: Seen) -> str | None:
    if one.column in _NAMES:
        return _NAMES[one.column].format(one.value)
    if one.column in _COUNTS:
        if one.usual is not None and _figure(float(one.value)) == _figure(one.usual):
            return None
        return f"{float(one.value):.0f} {_COUNTS[one.column]}{_against(float(one.value), one.usual)}"
    if one.column == "run_length_s":
        return f"the machine had run for {_span(float(one.value))}"
    if one.column == "previous_stop_s":
        return f"the stop before had taken {_span(float(one.value))}"
    if one.column == "minutes_since_alarm":
        return f"the last alarm was {_span(60 * float(one.value))} ago"
    if one.column == "hours_since_maintenance":
        return f"the last maintenance was {_span(3600 * float(one.value))} ago"
    if one.column == "hour_of_day":
        hours, minutes = divmod(round(60 * float(one.value)), 60)
        return f"it was {hours % 24:02d}:{minutes:02d}"
    if one.column == "weekday":
        return f"it was a {_WEEKDAYS[int(one.value)]}"
    return None


def _against(value: float, usual: float | None, unit: str = "") -> str:
    if usual is None or math.isnan(usual):
        return ""
    gap = value - usual
    return f", {_figure(abs(gap))}{unit} {'over' if gap > 0 else 'under'} its usual {_figure(usual)}"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 1 else f"{value:.2g}"


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.0f} days"
