"""What Azure IoT Hub is to a device: a Mosquitto, and before it a door that keeps the hub's rules.

Belongs here: TLS, shared access signatures, one connection per device, no QoS 2, the form of topics, 256 KB. Does not
belong here: what devices say. The door is written from the hub's documentation alone, without our code.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from prodlytics.db.unprivileged import identity
from prodlytics_tests.servers.certificates import make_certificate
from prodlytics_tests.servers.mosquitto import Broker
from prodlytics_tests.servers.ports import free_port

DEVICE = "gateway-1"
MOST_BYTES = 262_144


@dataclass
class Login:
    """A device that came in."""

    device: str
    expires: int


class Hub:
    """A hub with one device that has the key `key`."""

    def __init__(self, broker: Broker, folder: Path) -> None:
        self.key = base64.b64encode(b"the key of gateway-1, 32 bytes..").decode()
        self.ca = folder / "hub.crt"
        make_certificate(self.ca, folder / "hub.key")
        self._device_port, self._backend_port = free_port(), free_port()
        acl = broker.folder / "acl"
        acl.write_text("pattern write devices/%c/messages/events/#\n")
        (broker.folder / "mosquitto.conf").write_text(
            "per_listener_settings true\npersistence false\nmax_inflight_messages 0\nmax_queued_messages 0\n"
            f"listener {self._device_port} 127.0.0.1\nallow_anonymous true\nmax_qos 1\nacl_file {acl}\n"
            f"listener {self._backend_port} 127.0.0.1\nallow_anonymous true\n"
            f"listener {broker.port} 127.0.0.1\nallow_anonymous true\n"
        )
        acl.chmod(0o600)
        identity().own(acl)
        broker.stop()
        broker.start()
        self.logins: list[Login] = []
        self.offences: list[str] = []
        "What a device did that the hub does not allow."
        self.messages: list[bytes] = []
        "Bodies in the order in which the hub got them."
        self._whole = True
        self._answering: asyncio.Event
        self._lines: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        threading.Thread(target=self._serve, args=(folder, started), daemon=True).start()
        assert started.wait(30)
        self._reader = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        listening = threading.Event()
        self._reader.on_message = lambda c, d, message: self.messages.append(message.payload)
        self._reader.on_subscribe = lambda *_: listening.set()
        self._reader.connect("127.0.0.1", self._backend_port)
        self._reader.loop_start()
        self._reader.subscribe("devices/#", 1)
        assert listening.wait(30)

    def connection_string(self, key: str | None = None) -> str:
        return f"HostName=127.0.0.1:{self.port};DeviceId={DEVICE};SharedAccessKey={key or self.key}"

    @property
    def samples(self) -> list[dict[str, Any]]:
        """Every sample that came, in the order in which it came, those that came twice once."""
        found: dict[int, dict[str, Any]] = {}
        for body in list(self.messages):
            for sample in json.loads(body)["samples"]:
                found.setdefault(sample["seq"], sample)
        return list(found.values())

    def cut(self) -> None:
        """Nobody is there."""
        self._loop.call_soon_threadsafe(self._cut)

    def go_dead(self) -> None:
        """Connections stay, and nothing comes through any more."""
        self._loop.call_soon_threadsafe(self._answering.clear)

    def mend(self) -> None:
        """As it was."""
        self._whole = True
        self._loop.call_soon_threadsafe(self._answering.set)

    def close(self) -> None:
        self._reader.disconnect()
        self._reader.loop_stop()
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _cut(self) -> None:
        self._whole = False
        self._answering.set()
        for line in self._lines:
            line.transport.abort()

    def _serve(self, folder: Path, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca, folder / "hub.key")
        self._answering = asyncio.Event()
        self._answering.set()
        server = self._loop.run_until_complete(asyncio.start_server(self._enter, "127.0.0.1", 0, ssl=context))
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        self._loop.run_forever()

    async def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._whole:
            writer.transport.abort()
            return
        self._lines.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await self._device(reader, writer)
        self._lines.discard(writer)
        writer.transport.abort()

    async def _device(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._answering.wait()
        first = await _packet(reader)
        login = self._login(first)
        if login is None:
            writer.write(b"\x20\x02\x00\x05")
            await writer.drain()
            return
        self.logins.append(login)
        near, far = await asyncio.open_connection("127.0.0.1", self._device_port)
        far.write(first)
        ways = [
            asyncio.create_task(self._inward(reader, far)),
            asyncio.create_task(self._outward(near, writer)),
            asyncio.create_task(self._until(login)),
        ]
        _, others = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for one in others:
            one.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        far.close()

    async def _until(self, login: Login) -> None:
        await asyncio.sleep(login.expires - time.time())
        self.offences.append("stayed until the token had expired")

    async def _inward(self, reader: asyncio.StreamReader, far: asyncio.StreamWriter) -> None:
        while True:
            packet = await _packet(reader)
            await self._answering.wait()
            offence = _offence(packet)
            if offence:
                self.offences.append(offence)
                return
            far.write(packet)
            await far.drain()

    async def _outward(self, near: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await near.read(65_536):
            await self._answering.wait()
            writer.write(data)
            await writer.drain()

    def _login(self, packet: bytes) -> Login | None:
        """Check CONNECT: protocol level 4, client id, user name and signature."""
        body = packet[_header(packet) :]
        name, at = _text(body, 0)
        level, at = body[at], at + 4
        client, at = _text(body, at)
        user, at = _text(body, at)
        token, at = _text(body, at)
        if (name, level, client) != ("MQTT", 4, DEVICE) or user != f"127.0.0.1/{DEVICE}/?api-version=2021-04-12":
            self.offences.append(f"came as {name} {level} {client} {user}")
            return None
        kind, _, fields = token.partition(" ")
        said = dict(part.split("=", 1) for part in fields.split("&"))
        signed = hmac.new(base64.b64decode(self.key), f"{said['sr']}\n{said['se']}".encode(), hashlib.sha256).digest()
        right = (
            kind == "SharedAccessSignature"
            and unquote(said["sr"]) == f"127.0.0.1/devices/{DEVICE}"
            and base64.b64decode(unquote(said["sig"])) == signed
            and int(said["se"]) > time.time()
        )
        return Login(client, int(said["se"])) if right else None


def _offence(packet: bytes) -> str | None:
    if packet[0] >> 4 != 3:
        return None
    topic, _ = _text(packet, _header(packet))
    if packet[0] & 0b110 == 0b100:
        return "QoS 2"
    if topic != f"devices/{DEVICE}/messages/events/$.ct=application%2Fjson&$.ce=utf-8":
        return f"topic {topic}"
    return "too large" if len(packet) > MOST_BYTES else None


def _header(packet: bytes) -> int:
    return next(n for n in range(1, 5) if packet[n] < 128) + 1


def _text(packet: bytes, at: int) -> tuple[str, int]:
    end = at + 2 + int.from_bytes(packet[at : at + 2], "big")
    return packet[at + 2 : end].decode(), end


async def _packet(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(2)
    while head[-1] & 128:
        head += await reader.readexactly(1)
    length = sum((byte & 127) << (7 * n) for n, byte in enumerate(head[1:]))
    return head + await reader.readexactly(length)


@contextmanager
def running(broker: Broker, folder: Path) -> Iterator[Hub]:
    """A hub on top of a broker, whose configuration it replaces."""
    hub = Hub(broker, folder)
    try:
        yield hub
    finally:
        hub.close()
