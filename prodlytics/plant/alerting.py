"""What the plant says about alerts: limits, who is told, by which channel, and who next.

Belongs here: settings, their defaults, what makes a single one valid. Does not belong here: what must agree with the
rest of the file (`alert_rules.py`), when an alert opens (`prodlytics.alerts`), sending (`prodlytics.notify`).
Secrets are never in the file: a channel called `teams` takes its address from PRODLYTICS_NOTIFY_TEAMS_URL.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from prodlytics.plant.values import WEEKDAYS, Strict, WallTime, Weekday

ChannelKind = Literal["email", "sms", "webhook", "teams", "slack", "apprise"]
Severity = Literal["warning", "critical"]
Minutes = Annotated[float, Field(ge=0, le=100_000)]
NAME = re.compile(r"^[a-z][a-z0-9_]{0,29}$")


class Channel(Strict):
    """A way to reach people.

    `email` sends through PRODLYTICS_SMTP_URL. The others take an address from PRODLYTICS_NOTIFY_<NAME>_URL: `webhook`
    posts JSON there, signed with PRODLYTICS_NOTIFY_<NAME>_SECRET; `teams` and `slack` take the URL of an incoming
    webhook; `sms` and `apprise` take a URL of the notification library (https://github.com/caronc/apprise), for `sms`
    without a number: the number of the contact is added.
    """

    name: str
    kind: ChannelKind

    @field_validator("name")
    @classmethod
    def _slug(cls, value: str) -> str:
        if not NAME.match(value):
            raise ValueError("write lower-case letters, digits and underscores, starting with a letter, e.g. msp_teams")
        return value

    @property
    def has_persons(self) -> bool:
        """Whether messages go to one contact each, or to the channel as a whole."""
        return self.kind in ("email", "sms")

    def variables(self) -> tuple[str, ...]:
        """The environment variables without which it cannot be used."""
        if self.kind == "email":
            return ("PRODLYTICS_SMTP_URL",)
        url = f"PRODLYTICS_NOTIFY_{self.name.upper()}_URL"
        return (url, f"PRODLYTICS_NOTIFY_{self.name.upper()}_SECRET") if self.kind == "webhook" else (url,)


class Level(Strict):
    """One limit of a rule and who is told first when it is passed; a rule's levels go from mild to severe."""

    limit: float
    severity: Severity = "warning"
    to: tuple[str, ...] | None = None
    "Roles; without them those of the rule."


class MachineRule(Strict):
    """What differs for one machine."""

    enabled: bool = True
    levels: tuple[Level, ...] | None = None


class AlertRule(Strict):
    """Settings of a rule; what is left out is as docs/alerts.md says."""

    enabled: bool = True
    levels: tuple[Level, ...] | None = None
    hold_min: Minutes | None = None
    "For how long the limit must be passed."
    clear_min: Minutes | None = None
    "For how long it must be kept again before the alert is resolved."
    to: tuple[str, ...] | None = None
    by: tuple[str, ...] | None = None
    machines: dict[str, MachineRule] = Field(default_factory=dict)


class Step(Strict):
    """Who is told if nobody has acknowledged by then."""

    after_min: Minutes
    outside_hours_min: Minutes | None = None
    "The same outside business hours; without it no other."
    to: tuple[str, ...]
    by: tuple[str, ...] | None = None
    severities: tuple[Severity, ...] = ("warning", "critical")


class Span(Strict):
    """A span of the day in local wall time; an end at or before the start lies on the next day."""

    start: WallTime
    end: WallTime
    weekdays: tuple[Weekday, ...] = WEEKDAYS


class Links(Strict):
    """Where messages point to: addresses as people's browsers know them, without a slash at the end."""

    dagster: str | None = None
    grafana: str | None = None
    runbook: str | None = None
    operator: str | None = None

    @field_validator("*")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None and not re.match(r"^https?://[^\s]+[^\s/]$", value):
            raise ValueError("write an address such as https://dagster.plant.example, without a slash at the end")
        return value


class Alerts(Strict):
    """Alerts of the plant and of the platform; without channels they are recorded and nobody is told."""

    channels: tuple[Channel, ...] = ()
    rules: dict[str, AlertRule] = Field(default_factory=dict)
    plant_steps: tuple[Step, ...] = ()
    "Who is told next of an alert about production."
    platform_steps: tuple[Step, ...] = ()
    "Who is told next of an alert about the system."
    business_hours: Span = Span.model_validate({"start": "08:00", "end": "17:00", "weekdays": WEEKDAYS[:5]})
    quiet_hours: Span | None = None
    "Warnings wait until these are over; what is critical does not."
    group_from: Annotated[int, Field(ge=2, le=1000)] = 4
    "So many messages to one address at once become one."
    links: Links = Links()

    def rule(self, name: str) -> AlertRule:
        """Settings of a rule; those nobody wrote are all left out."""
        return self.rules.get(name, AlertRule())

    def channel(self, name: str) -> Channel:
        """The channel with this name; KeyError for one nobody configured."""
        return next(one for one in self.channels if one.name == name) if name in self.names else _missing(name)

    @property
    def names(self) -> frozenset[str]:
        """Names of the channels."""
        return frozenset(one.name for one in self.channels)


def _missing(name: str) -> Channel:
    raise KeyError(name)
