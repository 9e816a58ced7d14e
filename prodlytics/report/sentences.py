"""The sentences of the report.

Belongs here: plain English made from figures, used by the HTML and the plain-text part alike. Does not belong here:
layout.
"""

from __future__ import annotations

from dataclasses import replace

from prodlytics.kpi.oee import capped
from prodlytics.plant.model import Plant
from prodlytics.report import what_if_text, words
from prodlytics.report.data import Lever
from prodlytics.report.figures import Change, Figures, LongestStop, MachineLine, Ratios, Restated, Scrap, Trust

_COLUMNS = {
    "oee": "OEE",
    "availability": "availability",
    "performance": "performance",
    "quality": "quality",
    "good_count": "good parts",
    "reject_count": "rejects",
    "rework_count": "rework",
    "run_time_us": "run time",
    "planned_time_us": "planned time",
    "cost": "cost of losses",
}


#: Sensors named in the report; the others are counted.
SENSORS_SHOWN = 3


def nothing_known(figures: Figures) -> bool:
    """Whether no machine said anything that day: not a row, or nothing but unknown time."""
    return figures.day.reason == "no_data"


def headline(plant: Plant, figures: Figures) -> str:
    """What a mail program shows beside the subject."""
    oee = words.percent(figures.day.oee, words.no_figure(figures.day.reason))
    return f"OEE {oee}. {lost(plant, figures)}"


def compared(figures: Figures) -> str:
    """The day against the day before and the days before."""
    day, before, whole = figures.day.oee, figures.trend[-2].ratios.oee, figures.before.oee
    if day is None:
        return "No figure to compare with earlier days."
    parts = []
    if before is not None:
        parts.append(f"{words.points(day - before)} on the day before ({words.percent(before)})")
    if whole is not None:
        parts.append(
            f"{words.points(day - whole)} on the {len(figures.trend) - 1} days before ({words.percent(whole)})"
        )
    text = ", ".join(parts) or "no earlier figure to compare with"
    return f"{text[0].upper()}{text[1:]}."


def lost(plant: Plant, figures: Figures) -> str:
    """The day in one sentence."""
    if nothing_known(figures):
        return "No data arrived for this day."
    if not figures.planned_minutes:
        return "Nothing was planned on this day."
    cost = "" if figures.lost_cost is None else f", worth {words.money(figures.lost_cost, plant.currency)}"
    made = f"{words.count(figures.good)} good parts and {words.count(figures.reject)} rejects"
    return (
        f"Of {words.hours(figures.planned_minutes)} planned, {words.hours(figures.lost_minutes)} were lost{cost}. "
        f"Made: {made}."
    )


def trend(figures: Figures) -> str:
    """The trend chart in words."""
    known = [point for point in figures.trend if point.ratios.oee is not None]
    if not known:
        return f"No OEE on any of the last {len(figures.trend)} days."
    best = max(known, key=lambda point: point.ratios.oee or 0.0)
    worst = min(known, key=lambda point: point.ratios.oee or 0.0)
    missing = len(figures.trend) - len(known)
    return (
        f"OEE of the last {len(figures.trend)} days: best {words.percent(best.ratios.oee)} on "
        f"{words.short_date(best.production_date)}, worst {words.percent(worst.ratios.oee)} on "
        f"{words.short_date(worst.production_date)}" + (f", no figure on {missing} of them." if missing else ".")
    )


def day_chart(figures: Figures) -> str:
    """The strips of the day in words: the table beside them has the figures."""
    return (
        f"What each of the {len(figures.machines)} machines did during the day, as coloured strips by hour. "
        f"Time without data: {words.minutes(figures.unknown_minutes)}."
    )


def unrated(figures: Figures) -> str:
    """Lost time that has no price."""
    total = sum(loss.minutes_without_rate for loss in figures.losses)
    return f"{words.minutes(total)} of it have no cost rate and are not in the money." if total > 0 else ""


def nothing_lost(figures: Figures) -> str:
    """Why the table of losses is empty."""
    if nothing_known(figures):
        return "No data."
    return "Nothing was lost." if figures.planned_minutes else "Nothing was planned, so nothing was lost."


def no_causes(figures: Figures) -> str:
    """Why there are no causes."""
    if nothing_known(figures):
        return "No data."
    if figures.unexplained_stops:
        return "Nobody gave a reason for any stop."
    return "No machine had an unplanned stop or a changeover."


def unexplained(figures: Figures) -> str:
    """Stops nobody explained, as a share of those people are asked about."""
    if not figures.asked_minutes:
        return ""
    share = figures.unexplained_minutes / figures.asked_minutes
    if not figures.unexplained_stops:
        return "Every unplanned stop has a reason."
    stops = "1 stop" if figures.unexplained_stops == 1 else f"{figures.unexplained_stops} stops"
    return (
        f"Without a reason: {words.percent(share)} of unplanned stop time "
        f"({words.minutes(figures.unexplained_minutes)}, {stops})."
    )


def is_not_planned(line: MachineLine) -> bool:
    """Whether the machine had the day off and kept to it."""
    return line.ratios.reason == "no_planned_time" and not line.good and not line.reject


def not_planned(figures: Figures) -> str:
    """Machines that had the day off, which need no line of their own."""
    names = [line.name for line in figures.machines if is_not_planned(line)]
    if not names:
        return ""
    return f"Not planned: {'all machines' if len(names) == len(figures.machines) else ', '.join(names)}."


def as_shown(plant: Plant, ratios: Ratios) -> Ratios:
    """A machine's ratios as the page shows them: performance capped where the plant file says so, and OEE to match."""
    performance, oee = capped(ratios.performance, ratios.oee, plant.convention)
    return replace(ratios, oee=oee, performance=performance)


def suspects(plant: Plant, figures: Figures) -> str:
    """Machines faster than they can be."""
    limit = plant.thresholds.performance_suspect
    names = [
        line.name
        for line in figures.machines
        if line.ratios.performance is not None and line.ratios.performance > limit
    ]
    if not names:
        return ""
    return f"Performance above {words.whole_percent(limit)}, so the ideal cycle is probably wrong: {', '.join(names)}."


def no_scrap(figures: Figures) -> str:
    """Why there is no scrap."""
    return "No data." if nothing_known(figures) else "No scrap was recorded."


def scrap_rest(items: tuple[Scrap, ...]) -> tuple[str, Scrap] | None:
    """What is not listed, as one line; None if everything is."""
    if not items:
        return None
    costs = [item.cost for item in items if item.cost is not None]
    total = Scrap(
        None,
        None,
        sum(item.pieces for item in items),
        sum(costs) if costs else None,
        sum(item.pieces_without_cost for item in items),
    )
    return f"{len(items)} more {'reason' if len(items) == 1 else 'reasons'}", total


def scrap_name(plant: Plant, item: Scrap) -> str:
    """What people said about rejects."""
    return words.scrap_name(plant, item.category, item.reason) or "No reason given"


def evidence(plant: Plant, stop: LongestStop) -> str:
    """The longest stop of a cause."""
    text = (
        f"Longest: {stop.machine}, {words.local_time(stop.started_at, plant.zone)}, {words.minutes(stop.minutes)}"
        + (f", fault {stop.fault_code}" if stop.fault_code else "")
    )
    return f"{text}. “{stop.note}”" if stop.note else f"{text}."


def restated_what(item: Restated) -> str:
    """Whose figures changed."""
    return f"{item.machine}, {item.shift}" if item.shift else item.machine


def changes(plant: Plant, item: Restated) -> str:
    """Old and new figures of one restatement."""
    said = "; ".join(_change(plant, change) for change in item.changes)
    if not item.hours:
        return f"{said}."
    return f"{said} ({item.hours} {'hour' if item.hours == 1 else 'hours'} restated)."


def _change(plant: Plant, change: Change) -> str:
    name = _COLUMNS.get(change.column, change.column)
    if change.hour is not None:
        at = words.local_time(change.hour, plant.zone)
        name = f"{name} of {at}"
    return f"{name} {_value(plant, change.column, change.old)} → {_value(plant, change.column, change.new)}"


def _value(plant: Plant, column: str, value: float | None) -> str:
    if value is None:
        return "no figure"
    if column == "cost":
        return words.money(value, plant.currency)
    if column in ("oee", "availability", "performance", "quality"):
        return words.percent(value)
    return words.minutes(value / 60e6) if column.endswith("_us") else words.count(value)


def data_quality(plant: Plant, figures: Figures) -> list[tuple[str, str]]:
    """What the figures rest on."""
    low = [
        f"{line.name} {words.percent(line.coverage or None)}"
        for line in figures.machines
        if line.coverage is not None and line.coverage < plant.thresholds.coverage
    ]
    absent = [line.name for line in figures.machines if line.coverage is None and line.ratios.reason == "no_data"]
    no_rows = figures.as_of is None
    missing = "nothing was scheduled" if figures.coverage is None and not no_rows else "no data"
    rows = [
        ("Scheduled time with known state", words.percent(figures.coverage or None, missing)),
        ("Time without data", "no data" if no_rows else words.minutes(figures.unknown_minutes)),
    ]
    if low:
        rows.append((f"Machines under {words.whole_percent(plant.thresholds.coverage)}", ", ".join(low)))
    if absent:
        rows.append(("Machines without any row", "all" if no_rows else ", ".join(absent)))
    if figures.gap_parts:
        rows.append(("Parts counted while the state was unknown, not in OEE", words.count(figures.gap_parts)))
    unexplained = "no data" if nothing_known(figures) else words.minutes(figures.unexplained_minutes)
    rows.append(("Unplanned stops without a reason", unexplained))
    rows += _trust(plant, figures.trust)
    rows.append(("Rows quarantined", words.count(sum(count for _, _, count in figures.quarantine))))
    rows.extend(
        (f"– {dataset}: {reason.replace('_', ' ')}", words.count(count))
        for dataset, reason, count in figures.quarantine
    )
    return rows


def _trust(plant: Plant, trust: Trust) -> list[tuple[str, str]]:
    """Only what somebody should do something about."""
    limits = plant.thresholds
    rows = []
    if trust.stops:
        needed, within = (seconds / 60 for seconds in (limits.reason_needed_s, limits.reason_within_s))
        label = f"Stops over {needed:g} min explained by a person within {within:g} min"
        rows.append((label, f"{trust.coded_in_time} of {trust.stops}"))
    if trust.other_minutes:
        rows.append(("Stops explained as “other”", words.minutes(trust.other_minutes)))
    if trust.no_short_stops:
        rows.append(("Not one short stop in a week: not captured", ", ".join(trust.no_short_stops)))
    if trust.silent_feeds:
        said = ", ".join(f"{name} {words.percent(part)}" for name, part in trust.silent_feeds)
        rows.append((f"Feeds heard in less than {words.whole_percent(limits.coverage)} of planned time", said))
    if trust.low_sensors:
        shown = [f"{name} {metric} {words.percent(part)}" for name, metric, part in trust.low_sensors[:SENSORS_SHOWN]]
        more = len(trust.low_sensors) - len(shown)
        rows.append(
            (
                f"Sensors that delivered less than {words.whole_percent(limits.delivery)}",
                ", ".join(shown) + (f" and {more} more" if more else ""),
            )
        )
    return rows


def lever(plant: Plant, asked: Lever | None) -> str:
    """What less of the largest cause would have brought; why that cannot be said; '' where nothing was lost."""
    if asked is None:
        return ""
    if isinstance(asked.answer, str):
        return asked.answer
    return what_if_text.paragraph(plant, asked.asked, plant.plant, asked.share, asked.answer)


def as_of(plant: Plant, figures: Figures) -> str:
    """Up to when data was in."""
    if figures.as_of is None:
        return "No data had arrived when this report was made."
    local = figures.as_of.astimezone(plant.zone)
    return f"Data up to {words.long_date(local.date())}, {local:%H:%M} ({plant.timezone})."


def convention(plant: Plant) -> str:
    """The rules in force, in words."""
    rules = plant.convention
    return (
        f"planned stops {_rule(rules.planned_stops)}, changeovers {_rule(rules.changeover)}, time without data "
        f"{_rule(rules.unknown)}, rework {'counts as good' if rules.rework_is_good else 'does not count as good'}"
        + ("" if rules.break_running == "planned" else ", production in breaks and outside the plan kept out of OEE")
        + ("" if rules.performance_cap == "none" else ", performance of machines shown up to 100 %")
    )


def _rule(choice: str) -> str:
    return "excluded" if choice == "excluded" else "counted as availability loss"
