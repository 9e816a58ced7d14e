"""The answer to "what if" in one short paragraph and a small table.

Belongs here: words and layout, for people and as JSON. Does not belong here: figures (`kpi.what_if`).
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from prodlytics.kpi.what_if import FEW_STOPS, MIN_WEEKS, ONE_WEEK_SHARE, Answer, Interval, NotEnough, Week
from prodlytics.plant.model import Plant
from prodlytics.report import words


def as_text(plant: Plant, asked: str, scope: str, share: float, answer: Answer | NotEnough) -> str:
    """For people.

    Args:
        plant: Names, currency.
        asked: Loss, reason or category that would be less.
        scope: Machine, line or plant the OEE is of.
        share: How much less, 0 to 1.
        answer: What came out.
    """
    said = paragraph(plant, asked, scope, share, answer)
    return f"{said}\n" if isinstance(answer, NotEnough) else f"{said}\n\n{_table(plant, answer.weeks)}\n"


def paragraph(plant: Plant, asked: str, scope: str, share: float, answer: Answer | NotEnough) -> str:
    """The same without the table of weeks."""
    what, where = _what(plant, asked), _where(plant, scope)
    if isinstance(answer, NotEnough):
        return _not_enough(what, where, answer)
    return _paragraph(plant, what, where, share, answer)


def as_dict(plant: Plant, asked: str, scope: str, share: float, answer: Answer | NotEnough) -> dict[str, Any]:
    """For machines: the same figures unrounded, and the text that people get."""
    told: dict[str, Any] = {
        "asked": asked,
        "scope": scope,
        "less": share,
        "enough_data": isinstance(answer, Answer),
        "says": paragraph(plant, asked, scope, share, answer),
    }
    if isinstance(answer, NotEnough):
        return {
            **told,
            "reason": answer.reason,
            "weeks": [str(monday) for monday in answer.mondays],
            "weeks_missing": answer.missing,
        }
    return {
        **told,
        "currency": plant.currency,
        "oee": answer.oee,
        "oee_then": answer.oee_then,
        "oee_reason": answer.oee_reason,
        "oee_gain": _span(answer.gain),
        "good_parts_per_week": _span(answer.parts),
        "money_per_week": _span(answer.money),
        "money_is_partial": answer.money_is_partial,
        "stops": answer.stops,
        "freed_min_per_week": answer.freed_min,
        "left_out": list(answer.left_out),
        "not_measured": list(answer.not_measured),
        "weeks": [{**vars(week), "monday": str(week.monday)} for week in answer.weeks],
    }


def _span(interval: Interval | None) -> dict[str, float] | None:
    return None if interval is None else dict(vars(interval))


def _what(plant: Plant, asked: str) -> str:
    if asked in words.LOSS_NAMES:
        return words.LOSS_NAMES[asked]
    scrap = {kind.code: kind.name for kind in plant.scrap_categories}
    name = words.reason_name(plant, asked)
    return f"{asked}, {scrap.get(asked, name)}" if scrap.get(asked, name) != asked else asked


def _where(plant: Plant, scope: str) -> str:
    if scope == plant.plant:
        return plant.name
    machine = next((machine for machine in plant.machines if machine.id == scope), None)
    if machine is not None:
        return f"{machine.id}, {machine.name}"
    name = plant.line(scope).name
    return f"line {scope}, {name}" if name else f"line {scope}"


def _not_enough(what: str, where: str, answer: NotEnough) -> str:
    weeks = _count(answer.weeks, "whole week")
    start = f"Not enough data to say what less of it would bring ({what}; {where})"
    if answer.reason == "too_few_weeks":
        return (
            f"{start}: {weeks} with planned time, {MIN_WEEKS} are needed. {_count(answer.missing, 'more week')} to go."
        )
    if answer.reason == "never_happened":
        return f"{start}: it did not occur in {weeks}."
    if answer.reason == "not_a_loss":
        return (
            f"{start}: over {weeks} it is no loss but less than nothing. Machines were faster than their ideal cycle: "
            "check the ideal cycles first."
        )
    return (
        f"{start}: of {weeks} one alone has over {words.whole_percent(ONE_WEEK_SHARE)} of it. Ask again when it has "
        "occurred in more weeks, or ask about a longer time with --weeks."
    )


def _paragraph(plant: Plant, what: str, where: str, share: float, answer: Answer) -> str:
    period = (
        f"in {_count(len(answer.weeks), 'whole week')} from {words.short_date(answer.weeks[0].monday)} to "
        f"{words.long_date(answer.weeks[-1].monday + dt.timedelta(days=6))}"
    )
    parts = [f"{what}: {words.whole_percent(share)} less of it {period} ({where})"]
    parts.append(_oee(answer))
    parts.append(_money(plant, answer))
    return " ".join(parts)


def _oee(answer: Answer) -> str:
    if answer.gain is None or answer.oee is None or answer.oee_then is None:
        why = "parts without an ideal cycle" if answer.oee_reason == "no_ideal_cycle" else "machines that never ran"
        return f"would have freed {words.minutes(answer.freed_min)} a week; what that is in OEE is not known ({why})."
    gain = answer.gain
    said = (
        f"would have brought {gain.estimate * 100:.2f} points of OEE (95 % interval {gain.low * 100:.2f} to "
        f"{gain.high * 100:.2f}): {words.percent(answer.oee)} would have been {words.percent(answer.oee_then)}"
    )
    if answer.parts is not None and answer.parts.estimate:
        said += f", {words.count(round(answer.parts.estimate))} good parts more a week"
    return f"{said}."


def _money(plant: Plant, answer: Answer) -> str:
    said = []
    if answer.money is None:
        said.append("What it costs is not known: no rates are configured.")
    else:
        low, high = (words.money(value, plant.currency) for value in (answer.money.low, answer.money.high))
        partly = ", without what has no rate or price" if answer.money_is_partial else ""
        mean = words.money(answer.money.estimate, plant.currency)
        said.append(f"{mean} a week ({low} to {high}{partly}) would not have been lost.")
    if answer.stops is not None and answer.stops < FEW_STOPS:
        said.append(f"It was only {_count(round(answer.stops), 'stop')}, so the intervals are rather too narrow.")
    if answer.not_measured:
        said.append(f"The OEE of the line does not depend on {', '.join(answer.not_measured)}.")
    if answer.left_out:
        said.append(f"Not in the OEE: {', '.join(answer.left_out)}, where no ideal cycle or no run time is known.")
    said.append(
        "Assumed: freed time makes good parts at the rate each machine has shown in these weeks, and there is work for "
        "it; the weeks to come are like these."
    )
    return " ".join(said)


def _table(plant: Plant, weeks: tuple[Week, ...]) -> str:
    header = ("week of", "lost", "OEE", "OEE then", f"cost {plant.currency}")
    rows = [
        (
            str(week.monday),
            words.hours(week.lost_min),
            words.percent(week.oee, "-"),
            words.percent(week.oee_then, "-"),
            "-" if week.cost is None else f"{week.cost:,.0f}",
        )
        for week in weeks
    ]
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = [
        "  ".join(cell.rjust(width) if column else cell.ljust(width) for column, (cell, width) in enumerate(zip(
            row, widths, strict=True)))
        for row in (header, *rows)
    ]  # fmt: skip
    return "\n".join(line.rstrip() for line in lines)


def _count(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"
