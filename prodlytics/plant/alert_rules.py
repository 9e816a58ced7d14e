"""What must agree about alerts: roles have people, channels exist, limits rise, secrets are there.

Belongs here: rules over `alerts` and the contacts, each with the place in the file and what to write. Does not belong
here: the settings themselves (`alerting.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from prodlytics.plant.problem import Path, Problem

if TYPE_CHECKING:
    from prodlytics.plant.alerting import Level
    from prodlytics.plant.model import Plant

#: The rules of `prodlytics.alerts.catalogue`, which lies above this room; a test holds the two together.
ALERT_RULES = frozenset(
    {
        "machine_down", "scrap_rate", "oee", "availability", "performance", "quality", "vibration", "anomaly",
        "forecast", "feed_silent", "sensor_gap", "source", "quarantine", "archive", "check_failed", "model_drift",
        "run_failed", "asset_stale", "database", "broker", "bridge", "spool", "hub", "daemon", "code_location",
        "sensor", "schedule", "cpu", "memory", "disk", "delivery",
    }
)  # fmt: skip
FALLING = frozenset({"oee", "availability", "performance", "quality", "forecast"})


def alert_problems(plant: Plant) -> Iterator[Problem]:
    """Everything under `alerts` that does not agree with the rest of the file."""
    yield from _channels(plant)
    yield from _rules(plant)
    for name in ("plant_steps", "platform_steps"):
        earlier = -1.0
        for i, step in enumerate(getattr(plant.alerts, name)):
            here: Path = ("alerts", name, i)
            if step.after_min <= earlier:
                yield Problem((*here, "after_min"), "write the steps in order of `after_min`, each later than the last")
            earlier = step.after_min
            yield from _roles(plant, (*here, "to"), step.to)
            yield from _known_channels(plant, (*here, "by"), step.by)
    yield from _phones(plant)


def missing_secrets(plant: Plant, environment: Mapping[str, str]) -> list[Problem]:
    """Channels whose environment variables are not set: nobody would be told, and nobody would know."""
    return [
        Problem(
            ("alerts", "channels", i), f"channel {channel.name!r} needs the environment variable {variable}; set it"
        )
        for i, channel in enumerate(plant.alerts.channels)
        for variable in channel.variables()
        if not environment.get(variable)
    ]


def _channels(plant: Plant) -> Iterator[Problem]:
    seen: set[str] = set()
    for i, channel in enumerate(plant.alerts.channels):
        if channel.name in seen:
            yield Problem(("alerts", "channels", i, "name"), f"channel {channel.name!r} is used twice; write each once")
        seen.add(channel.name)


def _rules(plant: Plant) -> Iterator[Problem]:
    machines = {machine.id for machine in plant.machines}
    for name, rule in plant.alerts.rules.items():
        here: Path = ("alerts", "rules", name)
        if name not in ALERT_RULES:
            yield Problem(here, f"there is no rule {name!r}; write one of {', '.join(sorted(ALERT_RULES))}")
            continue
        yield from _roles(plant, (*here, "to"), rule.to)
        yield from _known_channels(plant, (*here, "by"), rule.by)
        yield from _levels(plant, name, (*here, "levels"), rule.levels)
        for machine_id, of_machine in rule.machines.items():
            if machine_id not in machines:
                yield Problem((*here, "machines", machine_id), f"there is no machine {machine_id!r}; write one of "
                              f"{', '.join(sorted(machines))}")  # fmt: skip
            yield from _levels(plant, name, (*here, "machines", machine_id, "levels"), of_machine.levels)


def _levels(plant: Plant, name: str, here: Path, levels: tuple[Level, ...] | None) -> Iterator[Problem]:
    if levels is None:
        return
    if not levels:
        yield Problem(here, "write at least one level, or `enabled: false`")
    falls = name in FALLING
    for i, level in enumerate(levels):
        yield from _roles(plant, (*here, i, "to"), level.to)
        before = levels[i - 1].limit if i else None
        if before is not None and (level.limit >= before if falls else level.limit <= before):
            yield Problem(
                (*here, i, "limit"),
                f"write levels from mild to severe: {'below' if falls else 'above'} {before:g}",
            )


def _roles(plant: Plant, here: Path, roles: tuple[str, ...] | None) -> Iterator[Problem]:
    known = {contact.role for contact in plant.contacts}
    for role in roles or ():
        if role not in known:
            yield Problem(
                here, f"no contact has the role {role!r}; add one, or write one of {', '.join(sorted(known))}"
            )


def _known_channels(plant: Plant, here: Path, names: tuple[str, ...] | None) -> Iterator[Problem]:
    known = plant.alerts.names
    for name in names or ():
        if name not in known:
            yield Problem(
                here, f"there is no channel {name!r}; add it to alerts.channels, or write one of "
                f"{', '.join(sorted(known)) or 'those you add there'}"
            )  # fmt: skip


def _phones(plant: Plant) -> Iterator[Problem]:
    """Whoever is told by text message needs a number."""
    by_text = {channel.name for channel in plant.alerts.channels if channel.kind == "sms"}
    told = {
        role
        for rule in plant.alerts.rules.values()
        if by_text & set(rule.by or ())
        for role in (*(rule.to or ()), *(one for level in rule.levels or () for one in level.to or ()))
    } | {
        role
        for step in (*plant.alerts.plant_steps, *plant.alerts.platform_steps)
        if by_text & set(step.by or ())
        for role in step.to
    }
    for i, contact in enumerate(plant.contacts):
        if contact.role in told and contact.phone is None:
            yield Problem(("contacts", i), f"{contact.role!r} is told by text message and has no `phone`; write one, "
                          "e.g. +13125550123")  # fmt: skip
