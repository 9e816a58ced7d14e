"""A plant that publishes at a given rate, cheaply enough to leave the processor to what is measured.

Belongs here: a generator that speaks just enough MQTT (3.1.1, quality of service 1) to a broker on this machine, as a
process of its own. Does not belong here: what receives it. `python -m benchmarks.traffic` prints one line of JSON:
what the broker has acknowledged, and when the last message went out.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MACHINES = ("AB_Line1.Press01", "AB_Line1.Press02", "AB_Line1.Press03", "AB_Line1.Press04", "FANUC_Line2.Mill01",
            "FANUC_Line2.Mill02", "FANUC_Line2.Mill03", "FANUC_Line2.Lathe01", "FANUC_Line2.Lathe02",
            "S7_Line3.Assembly01", "S7_Line3.Assembly02", "MB_Line3.Pack01")  # fmt: skip
METRICS = ("Temperature_C", "Power_kW", "SpindleSpeed_RPM", "Pressure_bar", "Vibration_Velocity_mms",
           "Vibration_Acceleration_g", "CycleTimeActual_ms", "CoolantFlow_lpm", "Torque_Nm", "Current_A")  # fmt: skip
#: Messages the broker may owe an answer for; packet ids end at 65,535.
_IN_FLIGHT = 30_000
_CHUNK = 200


@dataclass(frozen=True)
class Load:
    """What is published: sample `n` is of tag `n % tags` at millisecond `first_ms + n // tags`, so none is said twice.

    Attributes:
        port: Of the broker.
        rate: Messages per second; 0 as fast as the broker takes them.
        messages: How many.
        samples: Per message.
        tags: How many take turns, machines first.
        first_ms: Time of the first sample.
        shape: `kepserverex` (one topic, the payload names the tag) or `topics` (one topic per tag, as the guide's flow
            wants it).
        sent: File for the time each message was handed to the network: nanoseconds of the monotonic clock.
    """

    port: int
    rate: float
    messages: int
    samples: int = 1
    tags: int = 120
    first_ms: int = 0
    shape: str = "kepserverex"
    sent: str = ""

    def start(self) -> subprocess.Popen[bytes]:
        """Publish it in a process of its own."""
        command = [sys.executable, "-m", "benchmarks.traffic", json.dumps(dataclasses.asdict(self))]
        return subprocess.Popen(command, stdout=subprocess.PIPE)


@dataclass(frozen=True)
class Sent:
    """What was published and acknowledged by the broker; times in seconds of the monotonic clock."""

    messages: int
    began: float
    ended: float

    @classmethod
    def of(cls, process: subprocess.Popen[bytes]) -> Sent:
        """Wait for a generator."""
        output, _ = process.communicate()
        assert process.returncode == 0
        return cls(**json.loads(output))

    @property
    def rate(self) -> float:
        """Messages per second that really went out."""
        return self.messages / (self.ended - self.began)


def tag(number: int) -> tuple[str, str]:
    """Machine (as `Channel.Device`) and metric of the tag whose turn it is."""
    return MACHINES[number % len(MACHINES)], METRICS[number // len(MACHINES) % len(METRICS)]


def main() -> None:
    """Publish what the only argument says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("load", help="a Load as JSON")
    load = Load(**json.loads(parser.parse_args().load))
    with socket.create_connection(("127.0.0.1", load.port)) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.sendall(_packet(0x10, b"\x00\x04MQTT\x04\x02\x00\x00\x00\x05bench"))
        assert line.recv(4)[:2] == b"\x20\x02", "the broker refuses us"
        print(json.dumps(dataclasses.asdict(_publish(line, load))))


def _publish(line: socket.socket, load: Load) -> Sent:
    told, acknowledged = 0, _Acknowledged(line)
    at = np.zeros(load.messages, dtype=np.int64)
    heads = [_head(number, load) for number in range(load.tags)]
    began = time.monotonic()
    while told < load.messages:
        due = int((time.monotonic() - began) * load.rate) + 1 if load.rate else load.messages
        upto = min(due, load.messages, told + _CHUNK, acknowledged.count + _IN_FLIGHT)
        if upto > told:
            packets = b"".join(_message(number, heads, load) for number in range(told, upto))
            at[told:upto] = time.monotonic_ns()
            line.sendall(packets)
            told = upto
        acknowledged.look()
        if told >= acknowledged.count + _IN_FLIGHT:
            acknowledged.wait()
        elif load.rate and told == due:
            time.sleep(max(0.001, began + told / load.rate - time.monotonic()))
    ended = time.monotonic()
    while acknowledged.count < load.messages:
        acknowledged.wait()
    line.sendall(b"\xe0\x00")
    if load.sent:
        np.save(Path(load.sent), at)
    return Sent(load.messages, began, ended)


class _Acknowledged:
    """How many PUBACKs came: four bytes each."""

    def __init__(self, line: socket.socket) -> None:
        self._line, self._bytes = line, 0

    @property
    def count(self) -> int:
        return self._bytes // 4

    def look(self) -> None:
        try:
            self._bytes += len(self._line.recv(1 << 20, socket.MSG_DONTWAIT))
        except BlockingIOError:
            return

    def wait(self) -> None:
        came = self._line.recv(1 << 20)
        assert came, "the broker has hung up"
        self._bytes += len(came)


def _head(number: int, load: Load) -> tuple[bytes, bytes]:
    machine, metric = tag(number)
    topic = "kepware/line1" if load.shape == "kepserverex" else f"kepware/{machine}/{metric}".replace(".", "/")
    return struct.pack(">H", len(topic)) + topic.encode(), f"{machine}.{metric}".encode()


def _message(number: int, heads: list[tuple[bytes, bytes]], load: Load) -> bytes:
    topic, name = heads[number % load.tags]
    if load.shape == "topics":
        payload = b"%d" % number
    elif load.samples == 1:
        payload = b'{"id":"%b","v":%d,"q":true,"t":%d}' % (name, number, load.first_ms + number // load.tags)
    else:
        first = number * load.samples
        said = b",".join(
            b'{"id":"%b","v":%d,"q":true,"t":%d}' % (heads[n % load.tags][1], n, load.first_ms + n // load.tags)
            for n in range(first, first + load.samples)
        )
        payload = b'{"timestamp":%d,"values":[%b]}' % (load.first_ms + first // load.tags, said)
    return _packet(0x32, topic + struct.pack(">H", number % 65_535 + 1) + payload)


def _packet(kind: int, body: bytes) -> bytes:
    length, size = b"", len(body)
    while True:
        size, low = divmod(size, 128)
        length += bytes([low | 0x80 if size else low])
        if not size:
            return bytes([kind]) + length + body


if __name__ == "__main__":
    main()
