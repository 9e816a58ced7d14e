"""Alerts while the database is away: somebody has to be told of that too.

Belongs here: the same life of an alert with its state in a file beside the watchdog, and handing its changes over to
the database once that is back. Does not belong here: what is looked at (`prodlytics.ops.watchdog`).
The file is a stopgap: it holds what was open when the database was last seen, so that nothing is told twice, and what
could not be sent yet, so that nothing is lost.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prodlytics.alerts.catalogue import RULES
from prodlytics.alerts.life import Alert, Reading, advance
from prodlytics.alerts.routes import of_change
from prodlytics.notify.message import Item, links_of, notice
from prodlytics.notify.send import DeliveryError, NotSetUpError, send

if TYPE_CHECKING:
    from prodlytics.plant.model import Plant


@dataclass
class Kept:
    """What the file holds: open alerts, conditions that do not last yet, who was told, what waits to be sent."""

    alerts: dict[str, Alert] = field(default_factory=dict)
    watch: dict[str, dt.datetime] = field(default_factory=dict)
    told: dict[str, list[tuple[str, str, str]]] = field(default_factory=dict)
    "Alert to channel, address and role."
    unsent: list[dict[str, Any]] = field(default_factory=list)
    opened_here: list[str] = field(default_factory=list)


def load(file: Path) -> Kept:
    """What the file holds; nothing where there is none, or a power cut left half of one."""
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return Kept()
    instants = ("since", "opened_at", "clear_since")
    alerts = {}
    for key, told in raw["alerts"].items():
        read = {name: dt.datetime.fromisoformat(told[name]) if told[name] else None for name in instants}
        alerts[key] = Alert(**{**told, **read, "evidence": tuple(told["evidence"])})
    return Kept(
        alerts,
        {key: dt.datetime.fromisoformat(at) for key, at in raw["watch"].items()},
        {key: [(a, b, c) for a, b, c in rows] for key, rows in raw["told"].items()},
        raw["unsent"],
        raw["opened_here"],
    )


def save(file: Path, kept: Kept) -> None:
    """Write the file anew, whole or not at all."""
    told = {**asdict(kept), "alerts": {key: asdict(alert) for key, alert in kept.alerts.items()}}
    file.parent.mkdir(parents=True, exist_ok=True)
    half = file.with_suffix(".new")
    half.write_text(json.dumps(told, default=_plain), encoding="utf-8")
    half.replace(file)


def judge(kept: Kept, plant: Plant, rules: Sequence[str], readings: Iterable[Reading], now: dt.datetime) -> Kept:
    """Move the alerts on, as `store.record` does in the database; what is to be sent joins `unsent`."""
    outcome = advance(plant, rules, readings, kept.alerts, kept.watch, now)
    alerts = {**kept.alerts, **{alert.key: alert for alert in outcome.kept}}
    result = replace(kept, alerts=alerts, watch=outcome.watch)
    for change in outcome.changes:
        alert = change.alert
        if change.kind == "resolved":
            alerts.pop(alert.key, None)
            told = result.told.pop(alert.key, [])
        else:
            alerts[alert.key] = alert
            told = [(due.channel, due.address, due.role) for due in of_change(plant, change, now)]
            result.told.setdefault(alert.key, []).extend(told)
        if change.kind == "opened":
            result.opened_here.append(alert.key)
        if told:
            result.unsent += [
                {"kind": change.kind, "alert": asdict(alert), "channel": channel, "address": address,
                 "batch": str(uuid.uuid4()), "detail": change.detail, "at": now.isoformat()}
                for channel, address, _ in told
            ]  # fmt: skip
    return result


def hand_over(kept: Kept, plant: Plant, environment: Mapping[str, str]) -> tuple[Kept, dict[str, str]]:
    """Send what waits; what is not accepted goes on waiting. Also gives why, by channel."""
    left: list[dict[str, Any]] = []
    problems: dict[str, str] = {}
    for waiting in kept.unsent:
        channel = waiting["channel"]
        if channel in problems or channel not in plant.alerts.names:
            left.append(waiting)
            continue
        try:
            message = notice(plant.plant, plant.name, plant.zone, waiting["batch"], [_item(plant, waiting)])
            send(plant.alerts.channel(channel), waiting["address"], message, environment)
        except (DeliveryError, NotSetUpError) as error:
            problems[channel] = str(error)
            left.append(waiting)
    return replace(kept, unsent=left), problems


def _item(plant: Plant, waiting: Mapping[str, Any]) -> Item:
    alert, at = waiting["alert"], dt.datetime.fromisoformat(waiting["at"])
    instants = {name: _instant(alert[name]) for name in ("since", "opened_at")}
    rule = RULES[alert["rule"]]
    over = waiting["kind"] == "resolved"
    return Item(
        kind=waiting["kind"], alert_id=alert["alert_id"] or 0, rule=rule.name, many=rule.many,
        severity=alert["severity"], subject=alert["subject"], title=alert["title"], message=alert["message"],
        line=alert["line"], machine_id=alert["machine_id"], evidence=tuple(alert["evidence"]), value=alert["value"],
        limit=alert["limit"], unit=rule.unit or None, resolved_at=at if over else None,
        resolution=waiting["detail"] if over else None,
        links=links_of(plant.alerts.links.model_dump(), rule.name, plant.plant, alert["machine_id"], None), **instants,
    )  # fmt: skip


def _instant(value: Any) -> dt.datetime:
    return value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(value)


def _plain(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)
