"""The bridge as a service: settings in, signals, logs a machine can read.

Belongs here: what surrounds a bridge in production. Does not belong here: what it does (`bridge`).
"""

from __future__ import annotations

import signal
import sys

import structlog

from prodlytics.db.url import database_url
from prodlytics.edge.bridge import Bridge, Options
from prodlytics.edge.broker import Address, BrokerAddressError
from prodlytics.edge.cloud.forwarder import Route
from prodlytics.edge.cloud.hub import Device, HubAddressError
from prodlytics.edge.spool import AlreadyRunningError, SpoolError
from prodlytics.plant.load import load_plant
from prodlytics.settings import Settings


class BridgeNotConfiguredError(Exception):
    """The bridge lacks a setting; one sentence for people."""


def run_bridge(settings: Settings) -> None:
    """Run a bridge until SIGTERM or SIGINT.

    Raises:
        BridgeNotConfiguredError: A setting is missing or in use by somebody else.
        HubAddressError: The connection string of the hub cannot be used.
        AlreadyRunningError: Another bridge runs here or feeds this plant.
        SpoolError: The spool's folder cannot be used.
        PlantFileError: The plant file is wrong.
    """
    plant = load_plant(settings.plant)
    if not plant.feeds and not plant.agents:
        raise BridgeNotConfiguredError(
            f"{settings.plant} has no feeds: write which topics are read, under `feeds`, or `agents` for MTConnect."
        )
    if plant.feeds and settings.mqtt_url is None:
        raise BridgeNotConfiguredError("PRODLYTICS_MQTT_URL is not set: write mqtt://host:1883 of the broker.")
    host, _, port = settings.bridge_http.rpartition(":")
    if not host or not port.isdecimal():
        raise BridgeNotConfiguredError("PRODLYTICS_BRIDGE_HTTP cannot be used: write 127.0.0.1:9108.")
    _log_as_json()
    options = Options(
        url=database_url(settings),
        broker=Address.of(settings.mqtt_url.get_secret_value()) if plant.feeds and settings.mqtt_url else None,
        folder=settings.bridge_spool or settings.home / "bridge",
        ca_file=settings.mqtt_ca_file,
        http_host=host,
        http_port=int(port),
        hold_s=settings.bridge_hold_s,
        patience_s=settings.bridge_patience_s,
        spool_limit_bytes=settings.bridge_spool_limit_mb * 1_000_000,
        cloud=_route(settings),
    )
    try:
        bridge = Bridge(plant, options)
    except OSError as error:
        raise BridgeNotConfiguredError(
            f"{settings.bridge_http} cannot be listened on: {error.strerror}. Does another bridge run here? Otherwise "
            "set PRODLYTICS_BRIDGE_HTTP to a free address."
        ) from error
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: bridge.stop())
    bridge.run()


def _route(settings: Settings) -> Route | None:
    if settings.iothub_connection_string is None:
        return None
    return Route(
        Device.of(
            settings.iothub_connection_string.get_secret_value(), settings.iothub_cert_file, settings.iothub_key_file
        ),
        (settings.bridge_spool or settings.home / "bridge") / "cloud",
        token_s=settings.iothub_token_s,
        ca_file=settings.iothub_ca_file,
        limit_bytes=settings.cloud_limit_mb * 1_000_000,
    )


def exit_code(error: Exception) -> int | None:
    """1 for what went wrong, 2 for what was asked wrongly; None for a defect."""
    if isinstance(error, BridgeNotConfiguredError | BrokerAddressError | HubAddressError):
        return 2
    return 1 if isinstance(error, AlreadyRunningError | SpoolError) else None


def _log_as_json() -> None:
    """One JSON object a line on standard error; values that are secrets never get into a log call."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
