"""The life of an alert: what a reading makes of what is known.

Belongs here: opening, raising, lowering, resolving, with minimum durations and hysteresis; pure. Does not belong here:
where readings come from (`readings.py`), where alerts are kept (`store.py`), who is told (`routes.py`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from prodlytics.alerts.catalogue import RULES, Rule, is_enabled, levels_of
from prodlytics.plant.alerting import Level
from prodlytics.plant.model import Plant

Kind = Literal["opened", "raised", "lowered", "resolved"]


@dataclass(frozen=True)
class Reading:
    """What a rule says of one subject now.

    Attributes:
        rule: Name of the rule.
        subject: What it is about: machine id, asset key, job, service.
        value: In the rule's unit; None where nothing can be said, which neither opens nor resolves anything.
        says: One sentence for people, with the numbers.
        since: Since when the condition holds, where the data says it; aware.
        machine_id: The machine it is about, if any.
        line: Its line.
        evidence: More sentences.
        not_now: Why nothing opens although the limit is passed: not planned. What is open goes on until it is well: a
            stop that lasts over a break is one alert (24 of 195 were told twice in 12 days of the demo plant).
        explained: Why it is no alert at all, and an open one over: somebody is at it.
    """

    rule: str
    subject: str
    value: float | None
    says: str
    since: dt.datetime | None = None
    machine_id: str | None = None
    line: str | None = None
    evidence: tuple[str, ...] = ()
    not_now: str | None = None
    explained: str | None = None

    @property
    def key(self) -> str:
        """What makes two readings the same alert."""
        return f"{self.rule}:{self.subject}"


@dataclass(frozen=True)
class Alert:
    """An alert that is open or acknowledged, as the table has it."""

    key: str
    rule: str
    subject: str
    level: int
    severity: str
    since: dt.datetime
    opened_at: dt.datetime
    state: str = "open"
    alert_id: int | None = None
    machine_id: str | None = None
    line: str | None = None
    title: str = ""
    message: str = ""
    evidence: tuple[str, ...] = ()
    value: float | None = None
    limit: float | None = None
    clear_since: dt.datetime | None = None


@dataclass(frozen=True)
class Change:
    """What became of an alert, and why."""

    kind: Kind
    alert: Alert
    detail: str


@dataclass
class Outcome:
    """What one look at the readings gave.

    Attributes:
        changes: In the order of the readings.
        kept: Open alerts whose figures or clear time moved on, without a change worth telling.
        watch: Conditions that do not last long enough yet, and since when; replaces what was watched of these rules.
    """

    changes: list[Change] = field(default_factory=list)
    kept: list[Alert] = field(default_factory=list)
    watch: dict[str, dt.datetime] = field(default_factory=dict)


def advance(
    plant: Plant,
    rules: Iterable[str],
    readings: Iterable[Reading],
    known: Mapping[str, Alert],
    watched: Mapping[str, dt.datetime],
    now: dt.datetime,
) -> Outcome:
    """Move every alert of these rules on.

    Args:
        plant: Limits and durations.
        rules: The rules that were looked at completely: what has no reading any more is well again.
        readings: What they said, one per key.
        known: Open and acknowledged alerts by key.
        watched: Conditions seen before that did not last long enough yet.
        now: The clock.
    """
    outcome = Outcome()
    looked_at = frozenset(rules)
    seen: set[str] = set()
    for reading in readings:
        seen.add(reading.key)
        _one(plant, RULES[reading.rule], reading, known.get(reading.key), watched.get(reading.key), now, outcome)
    for key, alert in known.items():
        if key not in seen and alert.rule in looked_at:
            _well(plant, RULES[alert.rule], alert, "It is not there any more.", now, outcome)
    return outcome


def _one(
    plant: Plant,
    rule: Rule,
    reading: Reading,
    alert: Alert | None,
    watched: dt.datetime | None,
    now: dt.datetime,
    outcome: Outcome,
) -> None:
    if not is_enabled(plant, rule, reading.machine_id) or reading.explained is not None:
        if alert is not None:
            outcome.changes.append(Change("resolved", alert, reading.explained or "The rule was switched off."))
        return
    if reading.not_now is not None and alert is None:
        return
    if reading.value is None:
        if alert is not None:
            outcome.kept.append(alert)
        elif watched is not None:
            outcome.watch[reading.key] = watched
        return
    levels = levels_of(plant, rule, reading.machine_id)
    level = passed(rule, levels, reading.value, None if alert is None else alert.level)
    if level is None:
        if alert is not None:
            _well(plant, rule, _figures(alert, reading, levels[alert.level]), reading.says, now, outcome)
        return
    if alert is not None:
        _still(rule, levels, _figures(alert, reading, levels[level]), level, outcome)
        return
    _bad(plant, rule, reading, levels, level, watched, now, outcome)


def _bad(
    plant: Plant,
    rule: Rule,
    reading: Reading,
    levels: tuple[Level, ...],
    level: int,
    watched: dt.datetime | None,
    now: dt.datetime,
    outcome: Outcome,
) -> None:
    """A limit is passed and nothing is open yet."""
    since = min(one for one in (watched, reading.since, now) if one is not None)
    hold = plant.alerts.rule(rule.name).hold_min
    # A reading with a duration in its value has waited already; others wait from when they were first seen.
    first_seen = watched or now
    if now - first_seen < dt.timedelta(minutes=rule.hold_min if hold is None else hold):
        outcome.watch[reading.key] = first_seen
        return
    opened = Alert(
        reading.key, rule.name, reading.subject, level, levels[level].severity, since, now,
        machine_id=reading.machine_id, line=reading.line, title=f"{reading.subject} {rule.says}",
    )  # fmt: skip
    outcome.changes.append(Change("opened", _figures(opened, reading, levels[level]), reading.says))


def passed(rule: Rule, levels: tuple[Level, ...], value: float, at: int | None) -> int | None:
    """The worst level whose limit a value passes; None for none.

    Args:
        rule: Says which side of a limit is bad, and how far back a value must come.
        levels: From mild to severe.
        value: In the rule's unit.
        at: Level of the open alert: its limit, and those below it, count as passed until the value is back by
            `rule.back`.
    """
    sign = 1.0 if rule.above else -1.0
    worst: int | None = None
    for i, level in enumerate(levels):
        limit = level.limit - sign * (rule.back if at is not None and i <= at else 0.0)
        # "15 minutes" is reached at its end, "over 5 %" is not reached at 5 %.
        lasts = rule.unit in ("min", "days")
        reached = sign * value >= sign * limit if lasts else sign * value > sign * limit
        worst = i if reached else worst
    return worst


def _figures(alert: Alert, reading: Reading, level: Level) -> Alert:
    return replace(
        alert,
        message=reading.says,
        evidence=reading.evidence,
        value=reading.value,
        limit=level.limit,
        # What is told of a condition may reach back further once more is known, never forward.
        since=min(alert.since, reading.since) if reading.since is not None else alert.since,
    )


def _still(rule: Rule, levels: tuple[Level, ...], alert: Alert, level: int, outcome: Outcome) -> None:
    there = replace(alert, clear_since=None)
    if level == alert.level:
        outcome.kept.append(there)
        return
    moved = replace(there, level=level, severity=levels[level].severity)
    outcome.changes.append(Change("raised" if level > alert.level else "lowered", moved, alert.message))


def _well(plant: Plant, rule: Rule, alert: Alert, says: str, now: dt.datetime, outcome: Outcome) -> None:
    clear = plant.alerts.rule(rule.name).clear_min
    since = alert.clear_since or now
    if now - since >= dt.timedelta(minutes=rule.clear_min if clear is None else clear):
        outcome.changes.append(Change("resolved", alert, says))
    else:
        outcome.kept.append(replace(alert, clear_since=since))
