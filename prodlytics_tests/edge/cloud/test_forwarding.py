"""What the bridge stored reaches the hub, once, in order, by the hub's rules, and never at the database's cost."""

from __future__ import annotations

import json
import ssl
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from prodlytics.db.unprivileged import identity
from prodlytics.edge.cloud.hub import sas_token
from prodlytics.settings import DEMO_PLANT
from prodlytics_tests.edge.cloud.hub_rig import counts, settings
from prodlytics_tests.edge.rig import BridgeProcess, Machine, bridge, stored, wait_until
from prodlytics_tests.edge.test_sparkplug import EdgeNode
from prodlytics_tests.edge.wire import Wire
from prodlytics_tests.servers import mosquitto as mqtt_server
from prodlytics_tests.servers.certificates import make_certificate
from prodlytics_tests.servers.iot_hub import DEVICE, Hub
from prodlytics_tests.servers.mosquitto import Broker
from prodlytics_tests.servers.ports import free_port


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    """The demo plant in a hurry."""
    file = tmp_path / "plant.yaml"
    file.write_text(f"{DEMO_PLANT.read_text()}\ncloud: {{urgent_s: 0.5, batch_s: 1, dead_bands: {{Power_kW: 0.5}}}}\n")
    return file


def states(machine: Machine, first: int, count: int) -> list[int]:
    """Let the machine change its state; the times in milliseconds."""
    times = [int(time.time() * 1000) - 500_000 + first + n for n in range(count)]
    for n, at in enumerate(times):
        sample = {"id": "AB_Line1.Press01.MachineState", "v": n % 2, "q": True, "t": at}
        machine.says(json.dumps(sample).encode())
    return times


def in_order(hub: Hub) -> bool:
    """Whether what came for the first time came in the order of its sequence."""
    return all(one["seq"] < other["seq"] for one, other in pairwise(hub.samples))


def test_a_link_that_is_down_loses_nothing_that_counts(
    mosquitto: Broker, plain_database: str, tmp_path: Path, plant: Path, hub: Hub
) -> None:
    with bridge(mosquitto, plain_database, tmp_path / "home", plant, settings=settings(hub)) as running:
        machine = Machine(mosquitto.port)
        machine.say(50)
        changed = states(machine, 0, 20)
        wait_until(lambda: counts(hub) == machine.said, f"the hub has all: {running.log}")
        hub.cut()
        wait_until(lambda: any("No cloud" in problem for problem in running.health()[1]), "a complaint")
        machine.say(100, samples=20)
        changed += states(machine, 1000, 20)
        wait_until(lambda: stored(plain_database) == machine.said, "the database has all")
        running.kill()
        running.start()
        machine.say(20, samples=20)
        wait_until(lambda: len(stored(plain_database)) == len(machine.said), "the database has all again")
        hub.mend()
        wait_until(lambda: len(counts(hub)) == len(machine.said), f"the hub has all: {running.log}")
        assert counts(hub) == machine.said
        seen = [s["time_us"] // 1000 for s in hub.samples if s["metric"] == "MachineState"]
        assert seen == changed
        assert in_order(hub)
        assert len({(s["machine"], s["metric"], s["time_us"]) for s in hub.samples}) == len(hub.samples)
        assert hub.offences == []
        wait_until(lambda: running.health() == (True, []), "well again")
        machine.leave()


def test_forwarding_goes_on_while_the_database_is_away(
    mosquitto: Broker, plain_database: str, tmp_path: Path, plant: Path, hub: Hub
) -> None:
    """By its settings the bridge leaves messages with the broker for an hour. Killed in between: nothing twice."""
    wire = Wire(plain_database)
    quick = settings(hub, BRIDGE_HOLD_S="3600", BRIDGE_PATIENCE_S="2")
    with bridge(mosquitto, wire.url, tmp_path / "home", plant, settings=quick) as running:
        machine = Machine(mosquitto.port)
        machine.say(50)
        wait_until(lambda: counts(hub) == machine.said, f"the hub has all: {running.log}")
        wire.cut()
        machine.say(100, samples=20)
        changed = states(machine, 0, 20)
        wait_until(lambda: counts(hub) == machine.said, f"the hub has all without a database: {running.log}")
        running.kill()
        running.start()
        machine.say(50)
        powers = (10.0, 10.3, 9.8, 10.6, 10.6, 11.0, 12.0)
        at = int(time.time() * 1000) - 60_000
        for n, power in enumerate(powers):
            machine.says(json.dumps({"id": "AB_Line1.Press01.Power_kW", "v": power, "q": True, "t": at + n}).encode())
        changed += states(machine, 1000, 20)
        wait_until(lambda: counts(hub) == machine.said, f"and after a kill: {running.log}")
        wire.mend()
        wait_until(lambda: running.metric("spooled_messages") == 0 and running.health()[0], "the spool is empty")
        machine.say(50)
        wait_until(lambda: counts(hub) == machine.said, f"and again from the database: {running.log}")
        assert stored(plain_database) == machine.said
        assert [s["time_us"] // 1000 for s in hub.samples if s["metric"] == "MachineState"] == changed
        assert [s["value"] for s in hub.samples if s["metric"] == "Power_kW"] == [10, 10.6, 12]
        assert len({(s["machine"], s["metric"], s["time_us"]) for s in hub.samples}) == len(hub.samples)
        assert in_order(hub)
        machine.leave()
    wire.close()


def test_aliases_of_spooled_births_are_known_to_the_cloud_after_a_kill(
    mosquitto: Broker, plain_database: str, tmp_path: Path, plant: Path, hub: Hub
) -> None:
    """The births were forwarded from the spool before the kill; the data after them come after it."""
    wire = Wire(plain_database)
    quick = settings(hub, BRIDGE_PATIENCE_S="2")
    with bridge(mosquitto, wire.url, tmp_path / "home", plant, settings=quick) as running:
        wire.cut()
        node = EdgeNode(mosquitto.port)
        node.answers = False
        node.measures(50)
        wait_until(lambda: counts(hub) == said(node), f"the hub has all without a database: {running.log}")
        running.kill()
        running.start()
        wait_until(lambda: running.metric("spooled_messages") >= 52, "the bridge is back")
        node.measures(50)
        wait_until(lambda: counts(hub) == said(node), f"and after a kill: {running.log}")
        wire.mend()
        wait_until(lambda: len(stored(plain_database)) == len(node.said), f"stored late: {running.log}")
        assert stored(plain_database) == counts(hub) == said(node)
        assert len(hub.samples) == len(node.said)
        node.leaves()
    wire.close()


def said(node: EdgeNode) -> dict[int, float]:
    """What a node said of its only metric, by time in milliseconds."""
    return {at: value for (_, at), value in node.said.items()}


def test_messages_are_as_the_quota_counts(
    mosquitto: Broker, plain_database: str, tmp_path: Path, plant: Path, hub: Hub
) -> None:
    """A backlog leaves in messages just under a multiple of 4 KB; a repeated value and noise stay at home."""
    with bridge(mosquitto, plain_database, tmp_path / "home", plant, settings=settings(hub)) as running:
        hub.cut()
        machine = Machine(mosquitto.port)
        machine.say(200, samples=50)
        at = int(time.time() * 1000) - 60_000
        for n, power in enumerate((10.0, 10.3, 9.8, 10.6, 10.6, 11.0, 12.0)):
            sample = {"id": "AB_Line1.Press01.Power_kW", "v": power, "q": True, "t": at + n}
            machine.says(json.dumps(sample).encode())
        wait_until(lambda: running.metric("cloud_waiting_samples") >= len(machine.said) + 3, running.log)
        hub.mend()
        wait_until(lambda: len(counts(hub)) == len(machine.said), f"the hub has all: {running.log}")
        sizes = [len(body) for body in hub.messages]
        assert max(sizes) <= 262_144
        longest = max(len(json.dumps(sample)) for sample in hub.samples)
        for size in sizes[:-1]:
            assert -(size + 128) % 4096 <= longest, sizes
        assert [s["value"] for s in hub.samples if s["metric"] == "Power_kW"] == [10, 10.6, 12]
        machine.leave()


def test_tokens_are_renewed_before_they_expire(
    mosquitto: Broker, plain_database: str, tmp_path: Path, plant: Path, hub: Hub
) -> None:
    renewing = settings(hub, IOTHUB_TOKEN_S="10")
    with bridge(mosquitto, plain_database, tmp_path / "home", plant, settings=renewing) as running:
        machine = Machine(mosquitto.port)
        while len(hub.logins) < 3:
            machine.say(5)
            time.sleep(0.1)
            assert running.health() == (True, [])
        wait_until(lambda: len(counts(hub)) == len(machine.said), "the hub has all")
        assert counts(hub) == machine.said
        assert len({login.expires for login in hub.logins}) == len(hub.logins)
        assert hub.offences == []
        machine.leave()


def test_a_wrong_key_is_said_in_one_sentence_and_costs_the_database_nothing(
    mosquitto: Broker, plain_database: str, tmp_path: Path, plant: Path, hub: Hub
) -> None:
    wrong = "d3JvbmcgYnV0IHdlbGwtZm9ybWVk"
    environment = settings(hub, IOTHUB_CONNECTION_STRING=hub.connection_string(wrong))
    running = BridgeProcess(mosquitto.port, plain_database, tmp_path / "home", plant, settings=environment).start()
    try:
        wait_until(lambda: any("refuses device" in problem for problem in running.health()[1]), "a complaint")
        (problem,) = running.health()[1]
        assert f"refuses device {DEVICE}: its key is not the right one" in problem
        machine = Machine(mosquitto.port)
        machine.say(10)
        wait_until(lambda: stored(plain_database) == machine.said, f"stored: {running.log}")
        assert hub.logins == []
        assert wrong not in running.log
        assert "SharedAccessSignature" not in running.log
        machine.leave()
    finally:
        running.kill()


def test_another_connection_with_our_id_is_reported(
    mosquitto: Broker, plain_database: str, tmp_path: Path, plant: Path, hub: Hub
) -> None:
    with bridge(mosquitto, plain_database, tmp_path / "home", plant, settings=settings(hub)) as running:
        twin = mqtt.Client(CallbackAPIVersion.VERSION2, DEVICE, protocol=mqtt.MQTTv311)
        twin.tls_set_context(ssl.create_default_context(cafile=str(hub.ca)))
        token = sas_token(f"127.0.0.1/devices/{DEVICE}", b"the key of gateway-1, 32 bytes..", int(time.time()) + 600)
        twin.username_pw_set(f"127.0.0.1/{DEVICE}/?api-version=2021-04-12", token)
        wait_until(lambda: len(hub.logins) == 1, "the bridge is in")
        twin.connect("127.0.0.1", hub.port)
        twin.loop_start()
        wait_until(lambda: any("another connection" in problem for problem in running.health()[1]), running.log)
        machine = Machine(mosquitto.port)
        machine.say(10)
        wait_until(lambda: stored(plain_database) == machine.said, "stored all the same")
        twin.disconnect()
        twin.loop_stop()
        wait_until(lambda: counts(hub) == machine.said, "the hub has all")
        assert counts(hub) == stored(plain_database) == machine.said
        machine.leave()


def test_a_hub_that_hangs_does_not_delay_the_database(
    mosquitto: Broker, plain_database: str, tmp_path: Path, plant: Path, hub: Hub
) -> None:
    """Rows are visible and acknowledged while the hub takes a message and never answers."""
    with bridge(mosquitto, plain_database, tmp_path / "home", plant, settings=settings(hub)) as running:
        wait_until(lambda: len(hub.logins) == 1, "the bridge is in")
        hub.go_dead()
        machine = Machine(mosquitto.port)
        for _ in range(20):
            machine.say(20)
            wait_until(lambda: len(stored(plain_database)) == len(machine.said), "rows at once", patience_s=5)
        assert counts(hub) == {}
        wait_until(lambda: running.metric("waiting_messages") == 0, "nothing is left unacknowledged")
        hub.mend()
        wait_until(lambda: counts(hub) == machine.said, f"the hub has all: {running.log}")
        machine.leave()


def test_a_certificate_opens_the_door_as_well(
    mosquitto: Broker, plain_database: str, tmp_path: Path, plant: Path
) -> None:
    """X.509: a Mosquitto that lets in by certificate, and each device only to its own topic."""
    with mqtt_server.running() as broker:
        port, folder = free_port(), broker.folder
        make_certificate(folder / "hub.crt", folder / "hub.key")
        make_certificate(tmp_path / "device.crt", tmp_path / "device.key", DEVICE)
        (folder / "devices.crt").write_bytes((tmp_path / "device.crt").read_bytes())
        (folder / "acl").write_text("pattern write devices/%u/messages/events/#\n")
        (folder / "mosquitto.conf").write_text(
            f"per_listener_settings true\nlistener {broker.port} 127.0.0.1\nallow_anonymous true\n"
            f"listener {port} 127.0.0.1\nmax_qos 1\ncertfile {folder}/hub.crt\nkeyfile {folder}/hub.key\n"
            f"cafile {folder}/devices.crt\nrequire_certificate true\nuse_identity_as_username true\n"
            f"acl_file {folder}/acl\n"
        )
        for file in folder.iterdir():
            file.chmod(0o600)
            identity().own(file)
        broker.stop()
        broker.start()
        got: list[Any] = []
        reader = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        reader.on_message = lambda c, d, message: got.extend(json.loads(message.payload)["samples"])
        reader.connect("127.0.0.1", broker.port)
        reader.subscribe("devices/#", 1)
        reader.loop_start()
        environment = {
            "IOTHUB_CONNECTION_STRING": f"HostName=127.0.0.1:{port};DeviceId={DEVICE};x509=true",
            "IOTHUB_CERT_FILE": str(tmp_path / "device.crt"),
            "IOTHUB_KEY_FILE": str(tmp_path / "device.key"),
            "IOTHUB_CA_FILE": str(tmp_path / "hub.crt"),
        }
        (tmp_path / "hub.crt").write_bytes((folder / "hub.crt").read_bytes())
        with bridge(mosquitto, plain_database, tmp_path / "home", plant, settings=environment) as running:
            machine = Machine(mosquitto.port)
            machine.say(10)
            wait_until(lambda: len(got) == 10, f"the hub has all: {running.log}")
            assert {s["time_us"] // 1000: s["value"] for s in got} == machine.said
            machine.leave()
        reader.loop_stop()
