"""One connection to Azure IoT Hub as a device.

Belongs here: who we are (SAS key or certificate), tokens, MQTT as the hub wants it (3.1.1 over TLS, QoS 1, its topic).
Does not belong here: what is sent and when (`forwarder`). Rules of the hub that shape this: one connection per device
id (a second one ends the first), no QoS 2, nothing retained, 256 KB a message, a token ends with its connection.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import ssl
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

API_VERSION = "2021-04-12"
PORT = 8883
KEEPALIVE_S = 60
#: How long the hub may take to answer.
PATIENCE_S = 20.0
#: After this share of a token's life a new one is made.
RENEW_AFTER = 0.8
_SETTING = "PRODLYTICS_IOTHUB_CONNECTION_STRING"
#: CONNACK of MQTT 3.1.1: what is said of these cures nothing by itself.
_REFUSALS = {1, 2, 4, 5}


class HubAddressError(Exception):
    """The connection string cannot be used; one sentence for people, without the key."""


class HubError(Exception):
    """The hub is away or does not want us; one sentence for people.

    Attributes:
        refused: True where trying again soon is pointless.
        hung_up: True where the hub ended a connection that it had accepted.
    """

    def __init__(self, sentence: str, *, refused: bool = False, hung_up: bool = False) -> None:
        super().__init__(sentence)
        self.refused = refused
        self.hung_up = hung_up


@dataclass(frozen=True)
class Device:
    """A device as the hub knows it."""

    host: str
    port: int
    device_id: str
    key: bytes | None = field(repr=False)
    "Shared access key; None where a certificate says who we are."
    certificate: Path | None = None
    certificate_key: Path | None = None

    @classmethod
    def of(cls, text: str, certificate: Path | None = None, certificate_key: Path | None = None) -> Device:
        """From the connection string of a device, as the portal shows it.

        Args:
            text: `HostName=...;DeviceId=...;SharedAccessKey=...`, or `...;x509=true` with a certificate.
            certificate: PEM file of the device's certificate.
            certificate_key: PEM file of its key.

        Raises:
            HubAddressError: Something is missing or cannot be.
        """
        pairs = [part.partition("=") for part in text.strip().strip(";").split(";")]
        said = {name.strip().lower(): value.strip() for name, _, value in pairs}
        host, _, port = said.get("hostname", "").partition(":")
        device = said.get("deviceid", "")
        if not host or not device or not (port.isdecimal() or not port) or any(c in device for c in "/#+\x00"):
            raise HubAddressError(
                f"{_SETTING} cannot be used: write HostName=...;DeviceId=...;SharedAccessKey=... of a device."
            )
        if said.get("x509", "").lower() == "true":
            return cls(host, int(port or PORT), device, None, *_files(certificate, certificate_key))
        return cls(host, int(port or PORT), device, _key(said.get("sharedaccesskey", "")))

    @property
    def user(self) -> str:
        """The MQTT user name."""
        return f"{self.host}/{self.device_id}/?api-version={API_VERSION}"

    @property
    def topic(self) -> str:
        """Where messages go: the properties say that the body is JSON, so that the hub can route by it."""
        return f"devices/{self.device_id}/messages/events/$.ct=application%2Fjson&$.ce=utf-8"


def _files(certificate: Path | None, key: Path | None) -> tuple[Path, Path]:
    if certificate is None or key is None:
        raise HubAddressError(
            f"{_SETTING} says x509=true: set PRODLYTICS_IOTHUB_CERT_FILE and PRODLYTICS_IOTHUB_KEY_FILE."
        )
    for file in (certificate, key):
        if not file.is_file():
            raise HubAddressError(f"{file} is not there: it should hold the device's certificate or its key.")
    return certificate, key


def _key(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise HubAddressError(
            f"{_SETTING} has no SharedAccessKey in Base64: copy it whole, with the signs = at its end."
        )
    return key


def sas_token(resource: str, key: bytes, expires: int) -> str:
    """A shared access signature.

    Source: "Control access to IoT Hub with shared access signatures" (Microsoft): HMAC-SHA256 with the key over the
    URL-encoded resource, a newline, and the expiry in seconds since 1970 UTC.

    Args:
        resource: `{host}/devices/{device}`.
        key: The device's key.
        expires: Seconds since 1970 UTC.
    """
    encoded = quote(resource, safe="")
    signature = base64.b64encode(hmac.digest(key, f"{encoded}\n{expires}".encode(), hashlib.sha256)).decode()
    return f"SharedAccessSignature sr={encoded}&sig={quote(signature, safe='')}&se={expires}"


class Hub:
    """A connection, from CONNECT to its end; a new one is a new object, since its token is new as well."""

    def __init__(self, device: Device, *, token_s: int, ca_file: Path | None = None) -> None:
        """Connect nothing yet.

        Args:
            device: Who we are.
            token_s: For how long a token is good.
            ca_file: Authority of the hub's certificate; without it those the system knows.

        Raises:
            HubError: The certificate files cannot be read.
        """
        self._device = device
        self._token_s = token_s
        self._news = threading.Condition()
        self._answer: int | None = None
        self._published = 0
        self._gone: str | None = None
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, device.device_id, clean_session=True, protocol=mqtt.MQTTv311,
            reconnect_on_failure=False,
        )  # fmt: skip
        self._client.connect_timeout = PATIENCE_S
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        try:
            context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
            if device.certificate is not None:
                context.load_cert_chain(str(device.certificate), str(device.certificate_key))
        except OSError as error:  # also what ssl raises
            raise HubError(f"The certificate files for the hub cannot be read: {error}.", refused=True) from error
        self._client.tls_set_context(context)
        self.renew_at = float("inf")

    def connect(self) -> None:
        """Connect and log in.

        Raises:
            HubError: Nobody answers, or we are refused.
        """
        device = self._device
        token = None
        if device.key is not None:
            # The hub compares with its own clock; we wait by one that nobody sets.
            expires = int(time.time()) + self._token_s
            token = sas_token(f"{device.host}/devices/{device.device_id}", device.key, expires)
            self.renew_at = time.monotonic() + RENEW_AFTER * (expires - time.time())
        self._client.username_pw_set(device.user, token)
        try:
            self._client.connect(device.host, device.port, keepalive=KEEPALIVE_S)
        except ssl.SSLCertVerificationError as error:
            raise HubError(
                f"{device.host} shows a certificate that this machine does not trust: {error.verify_message}.",
                refused=True,
            ) from error
        except OSError as error:
            raise HubError(f"{device.host}:{device.port} does not answer: {error}.") from error
        self._client.loop_start()
        with self._news:
            self._news.wait_for(lambda: self._answer is not None or self._gone is not None, PATIENCE_S)
        if self._answer is None:
            raise HubError(f"{device.host} took the connection and did not answer.")
        if self._answer:
            raise HubError(self._refusal(self._answer), refused=self._answer in _REFUSALS)

    def publish(self, body: bytes) -> None:
        """Send a message; when this returns the hub has it.

        Raises:
            HubError: It did not say that it has it.
        """
        before = self._published
        if self._client.publish(self._device.topic, body, qos=1).rc != mqtt.MQTT_ERR_SUCCESS:
            self.check()
            raise HubError("the connection broke")
        with self._news:
            self._news.wait_for(lambda: self._published > before or self._gone is not None, PATIENCE_S)
            if self._published > before:
                return
        self.check()
        raise HubError(f"{self._device.host} did not acknowledge a message within {PATIENCE_S:.0f} s")

    def check(self) -> None:
        """Whether the connection is there still.

        Raises:
            HubError: It is not.
        """
        if self._gone is not None:
            raise HubError(f"the hub ended the connection ({self._gone})", hung_up=True)

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError, ValueError):
            self._client.disconnect()
        self._client.loop_stop()

    def _refusal(self, code: int) -> str:
        device = self._device
        if code in (4, 5):
            proof = "certificate" if device.key is None else "key"
            return (
                f"The hub {device.host} refuses device {device.device_id}: its {proof} is not the right one, the "
                "device is disabled or unknown there, or the clock of this machine is wrong."
            )
        return f"The hub {device.host} refuses device {device.device_id} (code {code})."

    def _on_connect(self, client: mqtt.Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        with self._news:
            # paho speaks MQTT 5 of everything: back to the code of 3.1.1.
            self._answer = {128: 5, 132: 1, 133: 2, 134: 4, 135: 5, 136: 3}.get(reason.value, reason.value)
            self._news.notify_all()

    def _on_disconnect(self, client: mqtt.Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        with self._news:
            self._gone = str(reason)
            self._news.notify_all()

    def _on_publish(self, client: mqtt.Client, data: Any, mid: int, reason: Any, properties: Any) -> None:
        with self._news:
            self._published += 1
            self._news.notify_all()
