"""Who is told what, when, and by which channel.

Belongs here: from a change or the age of an alert to messages that are due; pure. Does not belong here: sending
(`deliver.py`), what a message looks like (`prodlytics.notify`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from prodlytics.alerts.catalogue import RULES, channels_of, levels_of, roles_of
from prodlytics.alerts.life import Alert, Change
from prodlytics.plant.alerting import Channel, Span
from prodlytics.plant.model import Plant
from prodlytics.plant.values import WEEKDAYS

MessageKind = Literal["opened", "raised", "escalated", "resolved"]


@dataclass(frozen=True)
class Due:
    """One message to one address.

    `step`: 0 for the first message, the level for `raised`, the number of the step from 1 for `escalated`.
    """

    kind: MessageKind
    step: int
    channel: str
    address: str
    role: str
    due_at: dt.datetime


def of_change(plant: Plant, change: Change, now: dt.datetime) -> list[Due]:
    """Who is told of an alert that opened or became worse; nobody of one that became milder."""
    if change.kind not in ("opened", "raised"):
        return []
    alert, rule = change.alert, RULES[change.alert.rule]
    levels = levels_of(plant, rule, alert.machine_id)
    # A jump over several limits tells whom each of them would have told.
    first = 0 if change.kind == "opened" else alert.level
    roles = [role for level in levels[first : alert.level + 1] for role in roles_of(plant, rule, level)]
    channels = [one for one in channels_of(plant, rule, alert.severity) if not _is_about(alert, one)]
    kind: MessageKind = "opened" if change.kind == "opened" else "raised"
    step = 0 if kind == "opened" else alert.level
    return list(_addressed(plant, kind, step, channels, roles, _after_quiet(plant, alert, now)))


def of_age(plant: Plant, alert: Alert, now: dt.datetime) -> list[Due]:
    """Who is told next because nobody has acknowledged: every step whose time has come."""
    if alert.state != "open":
        return []
    rule = RULES[alert.rule]
    steps = plant.alerts.plant_steps if rule.side == "plant" else plant.alerts.platform_steps
    found: list[Due] = []
    for number, step in enumerate(steps, start=1):
        after = step.after_min
        if step.outside_hours_min is not None and not is_in(plant, plant.alerts.business_hours, alert.opened_at):
            after = step.outside_hours_min
        if alert.severity in step.severities and now - alert.opened_at >= dt.timedelta(minutes=after):
            named = [plant.alerts.channel(name) for name in step.by] if step.by is not None else None
            channels = [one for one in named or channels_of(plant, rule, alert.severity) if not _is_about(alert, one)]
            found += _addressed(plant, "escalated", number, channels, step.to, _after_quiet(plant, alert, now))
    return found


def is_in(plant: Plant, span: Span, at: dt.datetime) -> bool:
    """Whether an instant lies in a span of the plant's day; one over midnight belongs to the day it starts on."""
    local = at.astimezone(plant.zone)
    wall, day = local.time(), WEEKDAYS[local.weekday()]
    if span.start < span.end:
        return day in span.weekdays and span.start <= wall < span.end
    before = WEEKDAYS[(local.weekday() - 1) % 7]
    return (day in span.weekdays and wall >= span.start) or (before in span.weekdays and wall < span.end)


def nobody(plant: Plant) -> list[str]:
    """Rules of which nobody would be told, for whoever sets the system up."""
    roles = {contact.role for contact in plant.contacts}
    found = []
    for rule in RULES.values():
        for level in levels_of(plant, rule):
            told = [one for one in channels_of(plant, rule, level.severity) if not one.has_persons]
            if not told and not (
                channels_of(plant, rule, level.severity) and roles & set(roles_of(plant, rule, level))
            ):
                found.append(rule.name)
                break
    return found


def _is_about(alert: Alert, channel: Channel) -> bool:
    """A channel that does not work cannot say so."""
    return alert.rule == "delivery" and alert.subject == channel.name


def _after_quiet(plant: Plant, alert: Alert, now: dt.datetime) -> dt.datetime:
    quiet = plant.alerts.quiet_hours
    if quiet is None or alert.severity == "critical" or not is_in(plant, quiet, now):
        return now
    local = now.astimezone(plant.zone)
    end = dt.datetime.combine(local.date(), quiet.end, tzinfo=plant.zone)
    if end <= local:
        end = dt.datetime.combine(local.date() + dt.timedelta(days=1), quiet.end, tzinfo=plant.zone)
    return end.astimezone(dt.UTC)


def _addressed(
    plant: Plant,
    kind: MessageKind,
    step: int,
    channels: Sequence[Channel],
    roles: Iterable[str],
    due_at: dt.datetime,
) -> Iterator[Due]:
    told: set[tuple[str, str]] = set()
    for role in dict.fromkeys(roles):
        for channel in channels:
            for address in _addresses(plant, channel, role):
                if (channel.name, address) not in told:
                    told.add((channel.name, address))
                    yield Due(kind, step, channel.name, address, role, due_at)


def _addresses(plant: Plant, channel: Channel, role: str) -> list[str]:
    if not channel.has_persons:
        return [channel.name]
    people = [contact for contact in plant.contacts if contact.role == role]
    if channel.kind == "sms":
        return [contact.phone for contact in people if contact.phone is not None]
    return [contact.email for contact in people]
