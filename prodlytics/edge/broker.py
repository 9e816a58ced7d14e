"""The connection to the MQTT broker.

Belongs here: MQTT 5 with a persistent session, acknowledgements when we say so, reconnecting, TLS. Does not belong
here: what a message says, when it is acknowledged.
"""

from __future__ import annotations

import contextlib
import queue
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from prodlytics.edge.client import Client
from prodlytics.edge.inbox import Message
from prodlytics.edge.sparkplug_host import Presence

if TYPE_CHECKING:
    from pathlib import Path

#: How long the broker keeps our messages while we are away.
SESSION_S = 14 * 86_400
KEEPALIVE_S = 15
log = structlog.get_logger("prodlytics.bridge")


class BrokerAddressError(Exception):
    """The broker's address cannot be used; one sentence for people."""


@dataclass(frozen=True)
class Address:
    """Where the broker is and how to get in."""

    host: str
    port: int
    tls: bool
    user: str | None
    password: str | None

    @classmethod
    def of(cls, url: str) -> Address:
        """From `mqtt://user:password@host:1883` or `mqtts://host:8883`.

        Raises:
            BrokerAddressError: It is neither.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
            raise BrokerAddressError(
                "PRODLYTICS_MQTT_URL cannot be used: write mqtt://host:1883, or mqtts://user:password@host:8883."
            )
        tls = parts.scheme == "mqtts"
        return cls(
            parts.hostname,
            port or (8883 if tls else 1883),
            tls,
            unquote(parts.username) if parts.username else None,
            unquote(parts.password) if parts.password else None,
        )


class BrokerUnreachableError(Exception):
    """The broker is not there or refuses us; one sentence for people, without a password."""


def knock(address: Address, ca_file: Path | None, patience_s: float = 5.0) -> None:
    """Log in and hang up, under a name of our own: the bridge's would end its connection.

    Raises:
        BrokerUnreachableError: The broker is not there, does not answer in time or refuses us.
    """
    answers: queue.SimpleQueue[str] = queue.SimpleQueue()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"prodlytics-{uuid.uuid4().hex}", protocol=mqtt.MQTTv5)
    client.on_connect = lambda _client, _data, _flags, reason, _properties: answers.put(
        f"it refuses us: {reason}" if reason.is_failure else ""
    )
    client.connect_timeout = patience_s
    try:
        _identify(client, address, ca_file)
        client.connect(address.host, address.port, clean_start=True)
        client.loop_start()
        why = answers.get(timeout=patience_s)
    except queue.Empty:
        why = "it takes the connection and does not answer"
    except OSError as error:
        why = error.strerror or str(error)
    finally:
        client.disconnect()
        client.loop_stop()
    if why:
        raise BrokerUnreachableError(
            f"The broker at {address.host}:{address.port} cannot be used: {why}. Is it running, and is "
            "PRODLYTICS_MQTT_URL right?"
        )


def _identify(client: mqtt.Client, address: Address, ca_file: Path | None) -> None:
    if address.user:
        client.username_pw_set(address.user, address.password)
    if address.tls:
        client.tls_set_context(ssl.create_default_context(cafile=str(ca_file) if ca_file else None))


class Broker:
    """Receives messages and acknowledges them later; reconnects by itself."""

    def __init__(
        self,
        address: Address | None,
        client_id: str,
        subscriptions: Sequence[str],
        deliver: Callable[[Message], None],
        *,
        receive_maximum: int,
        ca_file: Path | None = None,
        presence: Presence | None = None,
    ) -> None:
        """Prepare the client; `start` connects.

        Args:
            address: The broker; without one nothing ever arrives.
            client_id: Names the session: always the same for a plant.
            subscriptions: Topic filters.
            deliver: Called on the network's thread; may wait, which holds the broker back.
            receive_maximum: How many messages the broker may send before it gets an acknowledgement.
            ca_file: Authority of the broker's certificate; without it the system's.
            presence: What is retained for Sparkplug's edge nodes while we are connected, and taken back by our will.
        """
        self._address = address
        self._host = "" if address is None else f"{address.host}:{address.port}"
        self._presence = presence
        self._greeted_ms = 0
        self._subscriptions = subscriptions
        self._deliver = deliver
        self._connection = 0
        self._receive_maximum = receive_maximum
        self._stopping = False
        self.connected = threading.Event()
        self.disconnected_at: float | None = None if address is None else time.monotonic()
        self.why = "not connected yet"
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv5, manual_ack=True)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_message = self._on_message
        self._client.on_pre_connect = self._on_pre_connect
        self._client.reconnect_delay_set(min_delay=1, max_delay=30)
        if address is not None:
            _identify(self._client, address, ca_file)

    def start(self) -> None:
        """Connect in the background; keeps trying."""
        if self._address is None:
            return
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_S
        properties.ReceiveMaximum = self._receive_maximum
        self._client.connect_async(
            self._address.host, self._address.port, keepalive=KEEPALIVE_S, clean_start=False, properties=properties
        )
        self._client.loop_start()

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Tell the broker that messages are safe. Those of an earlier connection are left: it sends them again."""
        if self.connected.is_set():
            self._client.acknowledge([one.mid for one in messages if one.mid and one.connection == self._connection])

    def publish(self, topic: str, payload: bytes) -> bool:
        """Send a message with quality of service 0; whether it went out, which is no promise that it arrives."""
        return self.connected.is_set() and self._client.publish(topic, payload).rc == mqtt.MQTT_ERR_SUCCESS

    def stop(self) -> None:
        """Hang up; the session stays, and with it everything that was not acknowledged."""
        self._stopping = True
        if self._presence is not None and self.connected.is_set():
            gone = self._presence.payload(False, time.time_ns() // 1_000_000)
            with contextlib.suppress(ValueError, RuntimeError):
                self._client.publish(self._presence.topic, gone, qos=1, retain=True).wait_for_publish(2.0)
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: mqtt.Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self.why = f"the broker refuses us: {reason}"
            log.error("broker_refuses", reason=str(reason), host=self._host)
            return
        self._connection += 1
        self.disconnected_at = None
        self.connected.set()
        log.info("connected", host=self._host, session_present=flags.session_present)
        if self._subscriptions:
            client.subscribe([(name, SubscribeOptions(qos=1)) for name in self._subscriptions])
        if self._presence is not None:
            client.publish(self._presence.topic, self._presence.payload(True, self._greeted_ms), qos=1, retain=True)

    def _on_pre_connect(self, client: mqtt.Client, data: Any) -> None:
        """Write the will of the connection that is about to be made."""
        if self._presence is not None:
            self._greeted_ms = time.time_ns() // 1_000_000
            client.will_set(self._presence.topic, self._presence.payload(False, self._greeted_ms), qos=1, retain=True)

    def _on_disconnect(self, client: mqtt.Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if not self.connected.is_set():
            # A refusal comes here too, as a "protocol error": why and since when is known already.
            return
        self.connected.clear()
        self.disconnected_at = time.monotonic()
        self.why = f"the connection broke: {reason}"
        if not self._stopping:
            log.warning("disconnected", reason=str(reason))

    def _on_connect_fail(self, client: mqtt.Client, data: Any) -> None:
        self.why = f"nobody answers at {self._host}"
        log.warning("broker_unreachable", host=self._host)

    def _on_message(self, client: mqtt.Client, data: Any, message: mqtt.MQTTMessage) -> None:
        self._deliver(
            Message(
                message.topic,
                bytes(message.payload),
                time.time_ns() // 1000,
                message.mid if message.qos else 0,
                self._connection,
            )
        )
