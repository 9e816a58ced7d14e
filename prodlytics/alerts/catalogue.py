"""The rules there are, and what holds for each where the plant file says nothing else.

Belongs here: name, side, unit, direction and defaults of a rule. Does not belong here: where its readings come from
(`readings.py`, `prodlytics.automation.alerting`, `prodlytics.ops.watchdog`), what becomes of them (`life.py`).
Limits come from the guide: machine down 15 minutes, scrap 5 % in a rolling hour, OEE 50 % of the running shift (60
warning, 40 critical), availability 70, performance 75, quality 95, silence 15 minutes, server load 80 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from prodlytics.plant.alerting import AlertRule, Channel, Level
from prodlytics.plant.model import Plant

Side = Literal["plant", "platform"]
ANY = 0.5
"Limit of a rule whose value is 1 where something is wrong."


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        name: As in the plant file and the table.
        side: Whether it is about production or about the system.
        says: What is wrong, after the subject: "Press01 is down".
        many: The same for several: "5 machines are down".
        unit: Of value and limit; "" for yes or no.
        to: Roles told first.
        hold_min: How long the limit must be passed; readings that carry their own duration need none.
        clear_min: How long it must be kept again.
        back: By how much a value must be on the good side again to count as such (hysteresis).
        above: Whether values above the limit are bad.
        planned: Whether it is about a machine that should work: no alert while it is not planned or maintained.
        sms: Whether a text message goes out too where there is such a channel.
    """

    name: str
    side: Side
    says: str
    many: str
    unit: str = ""
    to: tuple[str, ...] = ()
    hold_min: float = 0.0
    clear_min: float = 1.0
    back: float = 0.0
    above: bool = True
    planned: bool = False
    sms: bool = False


_SUPERVISOR, _QUALITY, _MANAGER = ("production_supervisor",), ("quality_manager",), ("plant_manager",)
_MAINTENANCE, _MSP = ("maintenance",), ("msp_help_desk",)

RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule("machine_down", "plant", "is down", "machines are down", "min", _SUPERVISOR, planned=True, sms=True),
        Rule("scrap_rate", "plant", "makes too much scrap", "machines make too much scrap", "%", _QUALITY,
             clear_min=5, back=1, planned=True),
        Rule("oee", "plant", "has a low OEE this shift", "machines have a low OEE this shift", "%", _MANAGER,
             hold_min=5, clear_min=10, back=2, above=False, planned=True),
        Rule("availability", "plant", "has a low availability this shift", "machines have a low availability", "%",
             _SUPERVISOR, hold_min=5, clear_min=10, back=2, above=False, planned=True),
        Rule("performance", "plant", "runs slowly this shift", "machines run slowly", "%", _SUPERVISOR,
             hold_min=5, clear_min=10, back=2, above=False, planned=True),
        Rule("quality", "plant", "has a low quality this shift", "machines have a low quality", "%", _QUALITY,
             hold_min=5, clear_min=10, back=1, above=False, planned=True),
        Rule("vibration", "plant", "vibrates too much", "machines vibrate too much", "mm/s", _MAINTENANCE,
             hold_min=2, clear_min=15, back=0.1),
        Rule("anomaly", "plant", "does not run as usual", "machines do not run as usual", "", _SUPERVISOR),
        Rule("forecast", "plant", "is forecast under its target", "forecasts are under their target", "%", _MANAGER,
             above=False),
        Rule("feed_silent", "platform", "sends nothing", "feeds are silent", "min", _MSP),
        Rule("sensor_gap", "platform", "sends nothing while its machine does", "sensors are silent", "min", _MSP),
        Rule("source", "platform", "could not be asked", "sources could not be asked", "min", _MSP),
        Rule("quarantine", "platform", "sends rows that cannot be used", "datasets get rows that cannot be used",
             "rows/h", _MSP, clear_min=15),
        Rule("archive", "platform", "is not archived and verified", "datasets are not archived and verified", "days",
             _MSP),
        Rule("check_failed", "platform", "has a failed check", "checks failed", "", _MSP),
        Rule("model_drift", "platform", "sees other data than it was trained on", "models see other data", "",
             ("msp_data_engineer",)),
        Rule("run_failed", "platform", "failed", "jobs failed", "", _MSP),
        Rule("asset_stale", "platform", "is stale", "assets are stale", "", _MSP),
        # What is restarted is back within half a minute.
        Rule("database", "platform", "cannot be reached", "databases cannot be reached", "", _MSP, hold_min=0.5,
             sms=True),
        Rule("broker", "platform", "cannot be reached", "brokers cannot be reached", "", _MSP, hold_min=0.5, sms=True),
        Rule("bridge", "platform", "is not well", "bridges are not well", "", _MSP, hold_min=0.5, sms=True),
        Rule("spool", "platform", "keeps messages on the disk", "bridges keep messages on the disk", "MB", _MSP,
             clear_min=5),
        Rule("hub", "platform", "does not take our samples", "hubs do not take our samples", "", _MSP, hold_min=5),
        Rule("daemon", "platform", "does not beat", "daemons do not beat", "", _MSP, hold_min=1, sms=True),
        Rule("code_location", "platform", "does not load", "code locations do not load", "", _MSP),
        Rule("sensor", "platform", "fails", "sensors fail", "", _MSP, hold_min=1),
        Rule("schedule", "platform", "did not tick", "schedules did not tick", "", _MSP),
        Rule("cpu", "platform", "is busy", "servers are busy", "%", _MSP, hold_min=10, clear_min=5, back=5),
        Rule("memory", "platform", "is short of memory", "servers are short of memory", "%", _MSP, hold_min=5,
             clear_min=5, back=5),
        Rule("disk", "platform", "is getting full", "disks are getting full", "%", _MSP, clear_min=5, back=2),
        Rule("delivery", "platform", "does not take messages", "channels do not take messages", "", _MSP),
    )
}  # fmt: skip


def levels_of(plant: Plant, rule: Rule, machine_id: str | None = None) -> tuple[Level, ...]:
    """The limits in force, from mild to severe: the machine's, else the rule's, else the guide's."""
    written = plant.alerts.rule(rule.name)
    of_machine = written.machines.get(machine_id) if machine_id is not None else None
    if of_machine is not None and of_machine.levels is not None:
        return of_machine.levels
    if written.levels is not None:
        return written.levels
    limits = plant.machine(machine_id).vibration_limits if rule.name == "vibration" and machine_id else None
    if limits is not None:
        return (Level(limit=limits.bc_mms), Level(limit=limits.cd_mms, severity="critical"))
    return _defaults(plant, rule)


def is_enabled(plant: Plant, rule: Rule, machine_id: str | None) -> bool:
    """Whether the rule is on, for this machine."""
    written = plant.alerts.rule(rule.name)
    of_machine = written.machines.get(machine_id) if machine_id is not None else None
    return written.enabled and (of_machine is None or of_machine.enabled)


def roles_of(plant: Plant, rule: Rule, level: Level) -> tuple[str, ...]:
    """Who is told first."""
    for roles in (level.to, plant.alerts.rule(rule.name).to):
        if roles is not None:
            return roles
    return rule.to


def channels_of(plant: Plant, rule: Rule, severity: str) -> tuple[Channel, ...]:
    """How they are told: as written, else plant alerts by e-mail and platform alerts by all but text messages."""
    written: AlertRule = plant.alerts.rule(rule.name)
    if written.by is not None:
        return tuple(plant.alerts.channel(name) for name in written.by)
    kinds = {"email"} if rule.side == "plant" else {"email", "webhook", "teams", "slack", "apprise"}
    if rule.sms and severity == "critical":
        kinds.add("sms")
    return tuple(one for one in plant.alerts.channels if one.kind in kinds)


def _defaults(plant: Plant, rule: Rule) -> tuple[Level, ...]:
    limits = plant.thresholds
    given: dict[str, list[Level]] = {
        "machine_down": [Level(limit=limits.downtime_alert_min, severity="critical")],
        "scrap_rate": [Level(limit=limits.scrap_rate * 100)],
        "oee": [
            Level(limit=limits.oee_warning * 100, to=_SUPERVISOR),
            Level(limit=limits.oee_manager * 100, to=_MANAGER),
            Level(limit=limits.oee_critical * 100, severity="critical", to=(*_MANAGER, *_SUPERVISOR)),
        ],
        "availability": [Level(limit=limits.availability * 100)],
        "performance": [Level(limit=limits.performance * 100)],
        "quality": [Level(limit=limits.quality * 100)],
        "forecast": [Level(limit=limits.quality * 100)],
        "feed_silent": [Level(limit=limits.feed_silent_min, severity="critical")],
        "sensor_gap": [Level(limit=limits.feed_silent_min)],
        "source": [Level(limit=15.0)],
        "quarantine": [Level(limit=100.0)],
        "archive": [Level(limit=2.0)],
        "spool": [Level(limit=100.0), Level(limit=1000.0, severity="critical")],
        **{name: [Level(limit=80.0), Level(limit=95.0, severity="critical")] for name in ("cpu", "memory", "disk")},
        **{
            name: [Level(limit=ANY, severity="critical")]
            for name in ("database", "broker", "bridge", "daemon", "code_location")
        },
        # Severity of a check comes with it: 1 for a warning, 2 for an error.
        "check_failed": [Level(limit=ANY), Level(limit=1 + ANY, severity="critical")],
        "anomaly": [Level(limit=ANY), Level(limit=1 + ANY, severity="critical")],
    }
    return tuple(given.get(rule.name, [Level(limit=ANY)]))
