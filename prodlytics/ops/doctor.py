"""`prodlytics doctor`: whether everything that is set up can be used.

Belongs here: the order of the examinations and what they say. Does not belong here: how a database, a broker or a place
is reached. Nothing is started, made or changed, and no value of a secret gets into a sentence. The hub is not asked: a
second connection under the device's name would end the bridge's.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal, ParamSpec

import psycopg

from prodlytics.archive.errors import ArchiveError
from prodlytics.archive.store import ArchiveStore
from prodlytics.db.connect import DatabaseUnavailable, connect
from prodlytics.db.embedded import running_url
from prodlytics.db.migrate import missing
from prodlytics.db.queries import sql
from prodlytics.edge.broker import Address, BrokerAddressError, BrokerUnreachableError, knock
from prodlytics.edge.cloud.hub import Device, HubAddressError
from prodlytics.edge.cloud.quota import QuotaPlan, TagRate, as_lines, quota_plan, supposed
from prodlytics.plant.connection import Connection
from prodlytics.plant.load import PlantFileError, load_plant
from prodlytics.plant.model import Plant
from prodlytics.settings import Settings
from prodlytics.sources.connections import ConnectionSetupError, adapters_of
from prodlytics.sources.place import LandingPlace, LandingUnavailable

P = ParamSpec("P")
Verdict = Literal["ok", "problem", "not set up"]
MEASURED_DAYS = 7

_EXPECTED = (
    PlantFileError,
    DatabaseUnavailable,
    ConnectionSetupError,
    LandingUnavailable,
    ArchiveError,
    BrokerAddressError,
    BrokerUnreachableError,
    HubAddressError,
)


@dataclass(frozen=True)
class Finding:
    """What was examined, how it fares, and a sentence: how it is, or what to do."""

    what: str
    verdict: Verdict
    said: str


@dataclass
class Examined:
    """Everything that was found.

    Attributes:
        findings: One for each thing, in the order of examination.
        quota: What forwarding to the hub costs at most; None without a plant.
        rates_from: Where its rates come from.
    """

    findings: list[Finding] = field(default_factory=list)
    quota: QuotaPlan | None = None
    rates_from: str = ""

    @property
    def well(self) -> bool:
        """Whether nothing is wrong; what is not set up is not wrong."""
        return all(one.verdict != "problem" for one in self.findings)


def examine(settings: Settings, environment: Mapping[str, str]) -> Examined:
    """Look at everything that is set up.

    Args:
        settings: What the environment says.
        environment: Where the connections' secrets are, as `os.environ`.
    """
    found = Examined()
    plants: list[Plant] = []
    rates: list[TagRate] = []
    found.findings.append(_look("plant file", _plant_file, settings, plants))
    found.findings.append(_look("database", _database, settings, rates))
    for plant in plants:
        found.findings += [
            _look(f"connection {one.name}", _connection, plant, one, environment) for one in plant.connections
        ] or [Finding("connections", "not set up", "The plant file has none.")]
    found.findings.append(_look("landing place", _landing, settings))
    found.findings.append(_look("archive", _archive, settings))
    found.findings.append(_look("broker", _broker, settings))
    found.findings.append(_look("cloud", _cloud, settings))
    for plant in plants:
        found.quota = quota_plan(plant, rates or supposed(plant))
        found.rates_from = (
            f"rates of the busiest of the last {MEASURED_DAYS} days"
            if rates
            else "no samples were found, so it is supposed that every tag speaks each second"
        )
    return found


def as_text(found: Examined) -> str:
    """For people: a line for each finding, then the quota plan."""
    lines = [f"{one.verdict:<10}  {one.what}: {one.said}" for one in found.findings]
    if found.quota is not None:
        lines += [
            "",
            f"Azure IoT Hub, what a day of forwarding costs at most; {found.rates_from}:",
            *as_lines(found.quota),
        ]
    return "\n".join(lines)


def as_dict(found: Examined) -> dict[str, object]:
    """For machines."""
    quota = None
    if (plan := found.quota) is not None:
        quota = {
            "rates": found.rates_from,
            "messages_per_day": plan.messages,
            "units_of_4_kb_per_day": plan.quota_units,
            "s1_units": plan.hub_units,
        }
    return {"well": found.well, "findings": [asdict(one) for one in found.findings], "quota_plan": quota}


def _look(what: str, examination: Callable[P, tuple[Verdict, str]], *about: P.args, **more: P.kwargs) -> Finding:
    try:
        verdict, said = examination(*about, **more)
    except _EXPECTED as error:
        verdict, said = "problem", _without_query(" ".join(str(error).split()))
    except ModuleNotFoundError as error:
        verdict, said = "not set up", f"This installation has no {error.name}, as on a gateway: nobody looked."
    return Finding(what, verdict, said)


def _plant_file(settings: Settings, plants: list[Plant]) -> tuple[Verdict, str]:
    plant = load_plant(settings.plant)
    plants.append(plant)
    return "ok", f"{settings.plant}: plant {plant.plant}, {len(plant.machines)} machines."


def _database(settings: Settings, rates: list[TagRate]) -> tuple[Verdict, str]:
    url = settings.database_url.get_secret_value() if settings.database_url else running_url(settings.home)
    if url is None:
        return "not set up", (
            "PRODLYTICS_DATABASE_URL is not set and the embedded database does not run: prodlytics migrate starts it."
        )
    try:
        with connect(url) as conn:
            lacking = missing(conn)
            if lacking:
                said = f"Migrations are missing, {lacking[0]} and what comes after it: run prodlytics migrate."
                return "problem", said
            since = dt.datetime.now(dt.UTC) - dt.timedelta(days=MEASURED_DAYS)
            rates += [TagRate(*row) for row in conn.execute(sql("select_tag_rates"), {"since": since}).fetchall()]
    except psycopg.Error as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        return "problem", f"It does not let us read: {why}. Has the login group prodlytics_reader or prodlytics_writer?"
    return "ok", "It answers and is of this version."


def _connection(plant: Plant, connection: Connection, environment: Mapping[str, str]) -> tuple[Verdict, str]:
    adapters_of(plant, connection, environment)
    return "ok", f"A system of kind {connection.kind}; its options and secrets are there."


def _landing(settings: Settings) -> tuple[Verdict, str]:
    place = LandingPlace(settings.landing_place)
    if settings.landing_url is None and not place.is_there():
        return "not set up", (
            f"PRODLYTICS_LANDING_URL is not set and {settings.landing_place} is not there: prodlytics up makes it."
        )
    place.check()
    return "ok", "It is there."


def _archive(settings: Settings) -> tuple[Verdict, str]:
    ArchiveStore(settings.archive_place).check()
    return "ok", "It is there and ours." if settings.archive_url else f"{settings.archive_place} can be used."


def _broker(settings: Settings) -> tuple[Verdict, str]:
    if settings.mqtt_url is None:
        return "not set up", "PRODLYTICS_MQTT_URL is not set: write mqtt://host:1883 where a bridge runs."
    address = Address.of(settings.mqtt_url.get_secret_value())
    knock(address, settings.mqtt_ca_file)
    return "ok", f"{address.host}:{address.port} lets us in."


def _cloud(settings: Settings) -> tuple[Verdict, str]:
    if settings.iothub_connection_string is None:
        return "not set up", (
            "PRODLYTICS_IOTHUB_CONNECTION_STRING is not set: write that of a device to forward to Azure IoT Hub."
        )
    device = Device.of(
        settings.iothub_connection_string.get_secret_value(), settings.iothub_cert_file, settings.iothub_key_file
    )
    return "ok", f"Device {device.device_id} of {device.host}. Whether the hub lets it in says /healthz of the bridge."


def _without_query(sentence: str) -> str:
    """Without what follows a question mark in an address: tokens of storage accounts are written there."""
    return " ".join(word.partition("?")[0] if "://" in word else word for word in sentence.split(" "))
