"""Numbers and codes as people read them.

Belongs here: percent, minutes, money, names of losses, bands. Missing is said in words and never looks like zero. Does
not belong here: where the numbers come from (`figures.py`).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from prodlytics.plant.model import Plant

#: OEE from which a day is good, and under which it needs attention.
GOOD = 0.85
WATCH = 0.65

_NO_FIGURE = {
    "no_data": "no data",
    "no_planned_time": "not planned",
    "no_ideal_cycle": "no ideal cycle",
    "no_run_time": "did not run",
    "no_parts": "no parts",
}

#: Stands for the reason of a changeover the controller reported and nobody coded.
CHANGEOVER = "changeover"

LOSS_NAMES = {
    "unplanned_stop": "Unplanned stops",
    "changeover": "Changeovers",
    "micro_stop": "Short stops",
    "reduced_speed": "Reduced speed",
    "defects": "Rejects",
    "startup": "Start-up rejects",
    "planned_stop": "Planned stops",
    "unknown": "Time without data",
    "no_ideal_cycle": "Running, no ideal cycle",
}


@dataclass(frozen=True)
class Band:
    """How good an OEE is, in a word and in colours that are readable on white."""

    name: str
    colour: str
    background: str


_GOOD_BAND = Band("good", "#116329", "#dcf5e3")
_WATCH_BAND = Band("fair", "#7a4b00", "#fdf0cd")
_POOR_BAND = Band("poor", "#a1130a", "#fde3e0")
_NO_BAND = Band("no figure", "#4b5563", "#eef0f3")


def band(oee: float | None) -> Band:
    """The band of an OEE between 0 and 1: good from 85 %, fair from 65 %, poor below."""
    if oee is None:
        return _NO_BAND
    # What is printed decides: 84.96 % reads 85.0 % and is called good.
    shown = round(oee, 3)
    if shown >= GOOD:
        return _GOOD_BAND
    return _WATCH_BAND if shown >= WATCH else _POOR_BAND


def percent(share: float | None, missing: str = "no data") -> str:
    """A share as percent with one decimal."""
    return missing if share is None else f"{share * 100:.1f} %"


def no_figure(reason: str | None) -> str:
    """Why there is no ratio."""
    return _NO_FIGURE.get(reason or "", "no data")


def points(difference: float | None) -> str:
    """A difference of two shares in percentage points."""
    if difference is None:
        return "no data"
    if abs(difference) < 0.0005:
        return "unchanged"
    return f"{abs(difference) * 100:.1f} points {'up' if difference > 0 else 'down'}"


def minutes(value: float) -> str:
    """Whole minutes; a little more than nothing is not shown as nothing."""
    return "under 1 min" if 0 < abs(value) < 0.5 else f"{value:,.0f} min"


def hours(value_min: float) -> str:
    """Minutes as hours and minutes, under an hour as minutes."""
    total = round(value_min)
    if abs(total) < 60:
        return minutes(value_min)
    return f"{total // 60:,} h {total % 60:02d} min"


def money(value: float | None, currency: str) -> str:
    """An amount in whole units of the currency."""
    return "no rate" if value is None else f"{currency} {value:,.0f}"


def count(value: float | None) -> str:
    """Pieces; fractions only where there are some."""
    if value is None:
        return "no data"
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


def count_or_dash(value: float | None) -> str:
    """Pieces where space is short."""
    return "–" if value is None else count(value)


def long_date(day: dt.date) -> str:
    """E.g. Friday, 20 November 2026."""
    return f"{day:%A}, {day.day} {day:%B %Y}"


def short_date(day: dt.date) -> str:
    """E.g. 20 Nov."""
    return f"{day.day} {day:%b}"


def local_time(instant: dt.datetime, zone: ZoneInfo) -> str:
    """Wall time in the plant, hours and minutes."""
    return f"{instant.astimezone(zone):%H:%M}"


def reason_name(plant: Plant, code: str) -> str:
    """A reason as people call it, with its category; a code nobody configured is shown as it is."""
    if code == CHANGEOVER:
        return "Changeover, nothing said"
    for category in plant.reasons:
        if category.code == code:
            return category.name
        for reason in category.reasons:
            if reason.code == code:
                return f"{reason.name} ({category.name})"
    return code


def scrap_name(plant: Plant, category: str | None, reason: str | None) -> str | None:
    """What people said about a reject; None if nobody did."""
    names = {item.code: item.name for item in plant.scrap_categories}
    said = [names.get(category, category) if category else None, reason]
    return ": ".join(part for part in said if part) or None


def whole_percent(share: float | None) -> str:
    """A share as whole percent where space is short; a dash where there is none."""
    return "–" if share is None else f"{share * 100:.0f} %"


def loss_name(loss: str) -> str:
    """A loss as people call it."""
    return LOSS_NAMES.get(loss, loss)


def scrap_cost(value: float | None, pieces_without_cost: float, currency: str) -> str:
    """What scrap cost; a star where some pieces are not in it."""
    if value is None:
        return "not known"
    return f"{money(value, currency)}{' *' if pieces_without_cost else ''}"
