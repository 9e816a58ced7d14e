"""A bridge between a real broker and a real database, and a machine that remembers what it said.

Belongs here: what the tests of the bridge share. Does not belong here: assertions about one fault.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import psycopg
from paho.mqtt.enums import CallbackAPIVersion

from prodlytics_tests.servers.mosquitto import Broker
from prodlytics_tests.servers.ports import free_port

TOPIC = "kepware/line1"
#: Tests wait for a state of affairs, never for a time; this only ends a test that will not succeed.
PATIENCE_S = 60.0


def wait_until(happened: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Wait until something is so."""
    until = time.monotonic() + patience_s
    while not happened():
        assert time.monotonic() < until, f"waited {patience_s:.0f} s for: {what}"
        time.sleep(0.05)


@dataclass
class Machine:
    """Publishes part counts of Press01 and remembers each one that the broker took."""

    port: int
    topic: str = TOPIC
    qos: int = 1
    login: tuple[str, str] | None = None
    said: dict[int, float] = field(default_factory=dict)
    "Time in milliseconds to value."

    def __post_init__(self) -> None:
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        if self.login is not None:
            self._client.username_pw_set(*self.login)
        self._client.connect("127.0.0.1", self.port)
        self._client.loop_start()
        self._next_ms = int(time.time() * 1000) - 3_600_000
        self._count = 0

    def say(self, messages: int, samples: int = 1) -> None:
        """Publish so many messages of so many samples each, and wait until the broker has them."""
        # Told to publish without a connection the client keeps the message but its handle reports failure for ever.
        wait_until(self._client.is_connected, "the machine has its broker")
        sent = []
        for _ in range(messages):
            values = []
            for _ in range(samples):
                self._count += 1
                self._next_ms += 1
                self.said[self._next_ms] = float(self._count)
                values.append({"id": "AB_Line1.Press01.PartCountGood", "v": self._count, "q": True, "t": self._next_ms})
            payload = json.dumps({"timestamp": self._next_ms, "values": values})
            sent.append(self._client.publish(self.topic, payload, qos=self.qos))
        for one in sent:
            one.wait_for_publish(PATIENCE_S)

    def says(self, payload: bytes, topic: str | None = None) -> None:
        """Publish any bytes."""
        self._client.publish(topic or self.topic, payload, qos=1).wait_for_publish(PATIENCE_S)

    def leave(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@dataclass
class BridgeProcess:
    """`prodlytics bridge` as a process of its own."""

    broker_port: int
    database: str
    home: Path
    plant: Path
    http_port: int = field(default_factory=free_port)
    settings: dict[str, str] = field(default_factory=dict)
    "More of the environment, without the prefix."
    environment: dict[str, str] = field(default_factory=dict)
    largest_file: int | None = None
    "Bytes: what a full disk looks like to a process."
    python: tuple[str, ...] = (sys.executable,)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> BridgeProcess:
        environment = {
            "PATH": os.environ["PATH"],
            "PRODLYTICS_DATABASE_URL": self.database,
            "PRODLYTICS_MQTT_URL": f"mqtt://127.0.0.1:{self.broker_port}",
            "PRODLYTICS_BRIDGE_HTTP": f"127.0.0.1:{self.http_port}",
            "PRODLYTICS_HOME": str(self.home),
            "PRODLYTICS_PLANT": str(self.plant),
            **{f"PRODLYTICS_{name}": value for name, value in self.settings.items()},
            **self.environment,
        }
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "bridge.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.python, "-m", "prodlytics.cli", "bridge"], env=environment, stdout=log, stderr=log
            )
        if self.largest_file is not None:
            resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (self.largest_file, resource.RLIM_INFINITY))
        return self

    def disk_has_space_again(self) -> None:
        assert self.process is not None
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def health(self) -> tuple[bool, list[str]]:
        """Whether it says that it is well, and what it complains of."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/healthz", timeout=5) as answer:
                return True, json.load(answer)["problems"]
        except urllib.error.HTTPError as error:
            return False, json.load(error)["problems"]
        except OSError:
            return False, ["no answer"]

    def metric(self, name: str) -> float:
        """One number of /metrics; not a number while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return float("nan")
        return next(float(line.split()[-1]) for line in lines if line.startswith(f"prodlytics_bridge_{name} "))

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE_S)

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(PATIENCE_S)

    @property
    def log(self) -> str:
        return (self.home / "bridge.log").read_text()


@contextmanager
def bridge(broker: Broker, database: str, home: Path, plant: Path, **more: Any) -> Iterator[BridgeProcess]:
    """A running bridge that is well."""
    process = BridgeProcess(broker.port, database, home, plant, **more).start()
    try:
        wait_until(lambda: process.health()[0], f"a healthy bridge: {process.log}")
        yield process
    finally:
        if process.process is not None and process.process.poll() is None:
            process.kill()


def stored(database: str) -> dict[int, float]:
    """Every part count in the database: time in milliseconds to value."""
    with psycopg.connect(database) as conn:
        rows = conn.execute(
            "SELECT (extract(epoch FROM time) * 1000)::bigint, value FROM machine_telemetry"
            " WHERE machine_id = 'Press01' AND metric_name = 'PartCountGood'"
        ).fetchall()
    return dict(rows)


def quarantined(database: str) -> list[tuple[str, str]]:
    """Reason and payload of everything put aside."""
    with psycopg.connect(database) as conn:
        return conn.execute("SELECT reason, payload FROM quarantine ORDER BY quarantine_id").fetchall()
