"""What a message looks like.

Belongs here: the words around an alert, as text, HTML, one line for a telephone, and JSON for another system; pure.
Does not belong here: who gets it (`prodlytics.alerts.routes`), sending it (`send.py`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from jinja2 import Environment

#: What a text message may be long; more is cut by gateways or charged several times.
SMS_LENGTH = 320
HEADINGS = {"opened": "New", "raised": "Worse", "escalated": "Nobody has acknowledged", "resolved": "Over"}


@dataclass(frozen=True)
class Item:
    """One alert as a message tells it; instants are aware.

    `many`: what several of its rule are called, after their number. `links`: label to address.
    """

    kind: str
    alert_id: int
    rule: str
    many: str
    severity: str
    subject: str
    title: str
    message: str
    since: dt.datetime
    opened_at: dt.datetime
    line: str | None = None
    machine_id: str | None = None
    evidence: tuple[str, ...] = ()
    value: float | None = None
    limit: float | None = None
    unit: str | None = None
    resolved_at: dt.datetime | None = None
    resolution: str | None = None
    links: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Notice:
    """A message, ready to be sent.

    `batch` is the same at every attempt to send it: receivers can tell a repetition by it. `reference` is the same for
    everything about one alert: mail programs and ticket systems make one conversation of it.
    """

    batch: str
    subject: str
    text: str
    html: str
    short: str
    data: Mapping[str, Any]
    severity: str
    reference: str | None = None


def notice(plant_id: str, plant_name: str, zone: ZoneInfo, batch: str, items: Sequence[Item]) -> Notice:
    """One message about one alert, or about many.

    Args:
        plant_id: Id of the plant.
        plant_name: Its name for people.
        zone: Times are told in it.
        batch: See `Notice`.
        items: At least one; of several the first ones are the most severe.
    """
    ordered = sorted(items, key=lambda item: (item.severity != "critical", item.kind == "resolved"))
    groups = _groups(ordered, zone)
    subject = _subject(plant_name, ordered, groups)
    told: dict[str, Any] = {
        "plant": plant_name, "subject": subject, "items": ordered, "groups": groups, "headings": HEADINGS,
        "clock": lambda at: _clock(at, zone), "lasted": _lasted, "figure": _figure,
    }  # fmt: skip
    return Notice(
        batch,
        subject,
        _environment().get_template("alert.txt.j2").render(told),
        _environment().get_template("alert.html.j2").render(told),
        _short(plant_name, ordered, groups),
        {"plant": plant_id, "batch": batch, "subject": subject, "alerts": [_plain(item) for item in ordered]},
        "critical" if any(item.severity == "critical" for item in items) else "warning",
        f"{plant_id}-alert-{ordered[0].alert_id}" if len(ordered) == 1 else None,
    )


def links_of(
    addresses: Mapping[str, str | None], rule: str, plant_id: str, machine_id: str | None, asset: str | None
) -> tuple[tuple[str, str], ...]:
    """Where to look: label and address, for each address the plant file gives.

    Args:
        addresses: `dagster`, `grafana`, `runbook`, `operator`.
        rule: The runbook has a section of this name.
        plant_id: Prefix of the asset's key.
        machine_id: Shown by the dashboard.
        asset: Dataset name, for the page in the Dagster UI.
    """
    found: list[tuple[str, str]] = []
    if addresses.get("dagster") and asset is not None:
        found.append(("Asset", f"{addresses['dagster']}/assets/{quote(plant_id)}/{quote(asset)}"))
    if addresses.get("grafana") and machine_id is not None:
        found.append(("Dashboard", f"{addresses['grafana']}/d/prodlytics-operator?var-machine={quote(machine_id)}"))
    if addresses.get("operator") and machine_id is not None:
        found.append(("Give a reason", f"{addresses['operator']}/machine/{quote(machine_id)}"))
    if addresses.get("runbook"):
        found.append(("What to do", f"{addresses['runbook']}#{rule}"))
    return tuple(found)


def _groups(items: Sequence[Item], zone: ZoneInfo) -> list[dict[str, Any]]:
    """Alerts of the same kind, rule and line as one line: "7 feeds are silent on Line2 since 02:10"."""
    found: dict[tuple[str, str, str | None], list[Item]] = {}
    for item in items:
        found.setdefault((item.kind, item.rule, item.line), []).append(item)
    groups = []
    for (kind, _, line), members in found.items():
        first = min(item.since for item in members)
        where = f" on {line}" if line else ""
        head = f"{len(members)} {members[0].many}{where}" if len(members) > 1 else f"{members[0].title}{where}"
        names = ", ".join(item.subject for item in members)
        groups.append({"kind": kind, "head": head, "since": _clock(first, zone), "items": members, "names": names})
    return groups


def _subject(plant: str, items: Sequence[Item], groups: Sequence[Mapping[str, Any]]) -> str:
    first = groups[0]
    mark = "Over" if first["kind"] == "resolved" else "Critical" if items[0].severity == "critical" else "Warning"
    more = sum(len(group["items"]) for group in groups[1:])
    rest = f", and {more} more" if more else ""
    # A line break in a machine's name would begin another header.
    return " ".join(f"[{plant}] {mark}: {first['head']} since {first['since']}{rest}".split())


def _short(plant: str, items: Sequence[Item], groups: Sequence[Mapping[str, Any]]) -> str:
    text = _subject(plant, items, groups)
    if len(items) == 1:
        text = f"{text}. {items[0].message}"
    return text if len(text) <= SMS_LENGTH else text[: SMS_LENGTH - 1].rstrip() + "…"


def _clock(at: dt.datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"


def _lasted(item: Item) -> str:
    if item.resolved_at is None:
        return ""
    minutes = round((item.resolved_at - item.since).total_seconds() / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def _figure(item: Item) -> str:
    if item.value is None or not item.unit:
        return ""
    limit = f" (limit {item.limit:g} {item.unit})" if item.limit is not None else ""
    return f"{item.value:.4g} {item.unit}{limit}"


def _plain(item: Item) -> dict[str, Any]:
    told = {name: value for name, value in vars(item).items() if name not in ("many", "links", "evidence")}
    instants = {name: value.isoformat() for name, value in told.items() if isinstance(value, dt.datetime)}
    return {**told, **instants, "evidence": list(item.evidence), "links": dict(item.links)}


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    return Environment(
        loader=PackageLoader("prodlytics.notify"),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
