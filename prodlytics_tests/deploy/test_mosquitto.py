"""The broker's configuration we ship, in a real Mosquitto: who may come in, and what each may do."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from prodlytics.db.unprivileged import identity
from prodlytics.settings import DEMO_PLANT
from prodlytics_tests.edge.rig import BridgeProcess, Machine, bridge, stored, wait_until
from prodlytics_tests.servers.certificates import make_certificate
from prodlytics_tests.servers.mosquitto import Broker
from prodlytics_tests.servers.place import PROJECT
from prodlytics_tests.servers.ports import free_port

USERS = ("kepserverex", "nodered", "sparkplug", "bridge", "simulator")


class Shipped:
    """The shipped configuration with this machine's paths and ports."""

    def __init__(self, broker: Broker) -> None:
        self.broker, folder = broker, broker.folder
        self.tls_port = free_port()
        self.ca = folder / "broker.crt"
        make_certificate(self.ca, folder / "broker.key")
        passwords = folder / "passwords"
        passwords.touch()
        for user in USERS:
            subprocess.run(
                [str(broker.root / "usr/bin/mosquitto_passwd"), "-b", str(passwords), user, f"{user}-secret"],
                check=True, capture_output=True,
            )  # fmt: skip
        (folder / "acl").write_text((PROJECT / "deploy/mosquitto/acl").read_text())
        text = (PROJECT / "deploy/mosquitto/mosquitto.conf").read_text()
        for shipped, here in (
            ("/var/lib/mosquitto/", f"{folder}/"),
            ("/etc/mosquitto/certs/", f"{folder}/"),
            ("/etc/mosquitto/", f"{folder}/"),
            ("listener 1883 127.0.0.1", f"listener {broker.port} 127.0.0.1"),
            ("listener 8883", f"listener {self.tls_port} 127.0.0.1"),
        ):
            assert shipped in text
            text = text.replace(shipped, here)
        (folder / "mosquitto.conf").write_text(text)
        for file in folder.iterdir():
            file.chmod(0o600)
            identity().own(file)

    def client(self, user: str | None, password: str | None = None, *, tls: bool = False) -> mqtt.Client:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        if user:
            client.username_pw_set(user, password or f"{user}-secret")
        if tls:
            client.tls_set_context(ssl.create_default_context(cafile=str(self.ca)))
        return client

    def enters(self, client: mqtt.Client, *, tls: bool = False) -> bool:
        answers: list[bool] = []
        client.on_connect = lambda c, d, f, reason, p: answers.append(not reason.is_failure)
        client.connect("127.0.0.1", self.tls_port if tls else self.broker.port)
        client.loop_start()
        wait_until(lambda: bool(answers), "an answer")
        return answers[0]


@pytest.fixture
def shipped(mosquitto: Broker) -> Shipped:
    mosquitto.stop()
    here = Shipped(mosquitto)
    mosquitto.start()
    return here


def test_nobody_comes_in_without_the_right_password(shipped: Shipped) -> None:
    assert shipped.enters(shipped.client("bridge"))
    assert not shipped.enters(shipped.client("bridge", "wrong"))
    assert not shipped.enters(shipped.client(None))


def test_other_machines_come_in_over_tls(shipped: Shipped) -> None:
    assert shipped.enters(shipped.client("kepserverex", tls=True), tls=True)
    stranger = shipped.client("kepserverex")
    stranger.tls_set_context(ssl.create_default_context())
    with pytest.raises(ssl.SSLCertVerificationError):
        stranger.connect("127.0.0.1", shipped.tls_port)


def over_tls(shipped: Shipped, password: str) -> dict[str, str]:
    """Settings of a bridge on another machine than the broker's."""
    url = f"mqtts://bridge:{password}@127.0.0.1:{shipped.tls_port}"
    return {"MQTT_URL": url, "MQTT_CA_FILE": str(shipped.ca)}


def test_the_bridge_comes_in_over_tls_and_loses_nothing(shipped: Shipped, plain_database: str, tmp_path: Path) -> None:
    """Small messages, large ones, many at once, and a broker that dies in between."""
    settings = over_tls(shipped, "bridge-secret")
    with bridge(shipped.broker, plain_database, tmp_path, DEMO_PLANT, settings=settings) as running:
        machine = Machine(shipped.broker.port, topic="kepware/line1", login=("kepserverex", "kepserverex-secret"))
        for _ in range(2):
            machine.say(1_000)
            machine.say(30, samples=500)
            # What the bridge has not taken yet, a broker that dies has in its memory alone (docs/edge.md).
            wait_until(lambda: len(stored(plain_database)) == len(machine.said), f"taken: {running.log}")
            machine.say(1)
            shipped.broker.kill()
            shipped.broker.start()
            wait_until(lambda: running.health()[0], "the bridge is back")
        machine.say(1)
        wait_until(lambda: len(stored(plain_database)) == len(machine.said), f"all stored: {running.log}")
        assert stored(plain_database) == machine.said
        assert "bridge-secret" not in running.log
        machine.leave()


def test_a_bridge_with_a_wrong_password_says_so_and_does_not_show_it(
    shipped: Shipped, plain_database: str, tmp_path: Path
) -> None:
    running = BridgeProcess(
        shipped.broker.port, plain_database, tmp_path, DEMO_PLANT, settings=over_tls(shipped, "not-the-secret")
    ).start()
    try:
        wait_until(lambda: any("Not authorized" in problem for problem in running.health()[1]), "it says so")
        # Still so, and counted from the beginning, after it has tried again.
        wait_until(lambda: running.log.count("broker_refuses") >= 3, "it goes on trying")
        (problem,) = running.health()[1]
        assert problem.startswith("No broker for")
        assert problem.endswith("the broker refuses us: Not authorized.")
        assert not running.health()[0]
        assert "not-the-secret" not in running.log
        assert "Traceback" not in running.log
    finally:
        running.kill()


@pytest.mark.parametrize(
    ("user", "topic", "arrives"),
    [
        ("kepserverex", "kepware/plant", True),
        ("kepserverex", "plain/a/b/c", False),
        ("nodered", "plain/a/b/c", True),
        ("sparkplug", "spBv1.0/plant/NBIRTH/edge1", True),
        ("kepserverex", "spBv1.0/plant/NCMD/edge1", False),
        ("bridge", "kepware/plant", False),
        ("bridge", "spBv1.0/plant/NCMD/edge1", True),
    ],
)
def test_each_client_writes_only_where_it_should(shipped: Shipped, user: str, topic: str, arrives: bool) -> None:
    """A reader that may see all of it hears the message, or only the one sent after it."""
    heard: list[str] = []
    reader = shipped.client("sparkplug" if topic.startswith("spBv1.0") else "bridge")
    reader.on_message = lambda c, d, message: heard.append(message.topic)
    reader.on_subscribe = lambda *_: heard.append("subscribed")
    assert shipped.enters(reader)
    reader.subscribe(topic, 1)
    wait_until(lambda: heard == ["subscribed"], "the subscription")
    writer = shipped.client(user)
    assert shipped.enters(writer)
    writer.publish(topic, b"1", qos=1).wait_for_publish(10)
    last = shipped.client("simulator" if not topic.startswith("spBv1.0/plant/NCMD") else "bridge")
    assert shipped.enters(last)
    last.publish(topic, b"2", qos=1).wait_for_publish(10)
    wait_until(lambda: len(heard) == (3 if arrives else 2), f"{3 if arrives else 2} entries: {heard}")
    for client in (reader, writer, last):
        client.loop_stop()
