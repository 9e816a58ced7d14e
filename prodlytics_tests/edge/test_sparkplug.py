"""An edge node of Sparkplug B, a real broker and a real database: sessions, deaths, kills of the bridge."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import psycopg
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from prodlytics.settings import DEMO_PLANT
from prodlytics_tests.edge.rig import bridge, quarantined, wait_until
from prodlytics_tests.edge.wire import Wire
from prodlytics_tests.formats import sparkplug_wire as w
from prodlytics_tests.servers.mosquitto import Broker

#: Group, node and device; Press01 is a machine of the demo plant.
HERE = "spBv1.0/Plant/{}/Edge1"


class EdgeNode:
    """Answers to a rebirth as the specification wants it; quality of service 0 for all it says, 1 for its will."""

    def __init__(self, port: int, metrics: tuple[str, ...] = ("PartCountGood",), session: int = 0) -> None:
        self.metrics, self.session = metrics, session
        self.seq = 0
        self.count = 0
        self.now_ms = int(time.time() * 1000) - 600_000
        self.said: dict[tuple[str, int], float] = {}
        self.commands: list[bytes] = []
        self.answers = True
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="Edge1", protocol=mqtt.MQTTv5)
        self._client.will_set(HERE.format("NDEATH"), w.payload(w.bd_seq(session)), qos=1)
        self._client.on_message = self._on_command
        self._client.connect("127.0.0.1", port)
        self._client.subscribe(HERE.format("NCMD"), qos=1)
        self._client.loop_start()
        self.is_born()

    def is_born(self) -> None:
        self.seq = 0
        self._says("NBIRTH", w.bd_seq(self.session))
        self._says("DBIRTH", *(self._metric(name, alias) for alias, name in enumerate(self.metrics)))

    def measures(self, times: int = 1) -> None:
        for _ in range(times):
            self._says("DDATA", *(self._metric(name, alias, named=False) for alias, name in enumerate(self.metrics)))

    def breaks_off(self) -> None:
        """As if its power was cut: the broker publishes the will."""
        self._client.loop_stop()
        sock = self._client.socket()
        assert sock is not None
        sock.close()

    def leaves(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _metric(self, name: str, alias: int, named: bool = True) -> bytes:
        self.count += 1
        self.now_ms += 1
        self.said[(name, self.now_ms)] = float(self.count)
        identity = {"name": name, "datatype": w.INT32} if named else {}
        return w.metric(w.int_value(self.count), alias=alias, at=self.now_ms, **identity)  # type: ignore[arg-type]

    def _says(self, kind: str, *metrics: bytes) -> None:
        device = "/Press01" if kind.startswith("D") else ""
        payload = w.payload(*metrics, sent=self.now_ms, seq=self.seq)
        self.seq = (self.seq + 1) % 256
        self._client.publish(HERE.format(kind) + device, payload).wait_for_publish(30)

    def _on_command(self, client: mqtt.Client, data: object, message: mqtt.MQTTMessage) -> None:
        self.commands.append(message.payload)
        if self.answers:
            self.seq = 0
            for kind, metrics in (
                ("NBIRTH", [w.bd_seq(self.session)]),
                ("DBIRTH", [self._metric(name, alias) for alias, name in enumerate(self.metrics)]),
            ):
                payload = w.payload(*metrics, sent=self.now_ms, seq=self.seq)
                self.seq += 1
                client.publish(HERE.format(kind) + ("/Press01" if kind == "DBIRTH" else ""), payload)


def good(database: str) -> dict[tuple[str, int], float]:
    """Metric and time in milliseconds to value, where the quality is good."""
    with psycopg.connect(database) as conn:
        rows = conn.execute(
            "SELECT metric_name, (extract(epoch FROM time) * 1000)::bigint, value FROM machine_telemetry"
            " WHERE machine_id = 'Press01' AND quality >= 192"
        ).fetchall()
    return {(name, at): value for name, at, value in rows}


def bad(database: str) -> list[str]:
    """Metrics with a sample of bad quality, without a value."""
    with psycopg.connect(database) as conn:
        rows = conn.execute(
            "SELECT metric_name FROM machine_telemetry WHERE machine_id = 'Press01' AND quality < 64 AND value IS NULL"
            " ORDER BY metric_name"
        ).fetchall()
    return [name for (name,) in rows]


@pytest.fixture
def state_of_host(mosquitto: Broker) -> Iterator[list[dict[str, object]]]:
    """Everything said about the host being there."""
    heard: list[dict[str, object]] = []
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.on_message = lambda _client, _data, message: heard.append(json.loads(message.payload))
    client.connect("127.0.0.1", mosquitto.port)
    client.subscribe("spBv1.0/STATE/demo", qos=1)
    client.loop_start()
    yield heard
    client.disconnect()
    client.loop_stop()


def test_birth_data_death_and_the_same_aliases_in_a_new_session(
    mosquitto: Broker, database: str, tmp_path: Path
) -> None:
    with bridge(mosquitto, database, tmp_path, DEMO_PLANT) as running:
        node = EdgeNode(mosquitto.port)
        node.measures(300)
        wait_until(lambda: good(database) == node.said, f"all of the first session: {running.log}")
        node.breaks_off()
        wait_until(lambda: bad(database) == ["PartCountGood"], "the metric is marked after the death")
        again = EdgeNode(mosquitto.port, metrics=("PartCountReject", "PartCountGood"), session=1)
        again.now_ms = node.now_ms + 1000
        again.measures(20)
        wait_until(lambda: good(database) == node.said | again.said, "each value under the name of its own session")
        assert quarantined(database) == []
        assert again.commands == []
        again.leaves()


def test_sessions_go_through_the_spool_in_their_order(mosquitto: Broker, database: str, tmp_path: Path) -> None:
    """The database is away while a session ends and another takes over its aliases; batches are tried many times."""
    wire = Wire(database)
    quick = {"BRIDGE_HOLD_S": "1", "BRIDGE_PATIENCE_S": "2"}
    with bridge(mosquitto, wire.url, tmp_path, DEMO_PLANT, settings=quick) as running:
        node = EdgeNode(mosquitto.port)
        node.measures(20)
        wire.cut()
        node.measures(200)
        wait_until(lambda: running.metric("spooled_messages") >= 200, f"messages on the disk: {running.log}")
        node.breaks_off()
        wait_until(lambda: running.metric("spooled_messages") >= 201, "the death on the disk")
        again = EdgeNode(mosquitto.port, metrics=("PartCountReject", "PartCountGood"), session=1)
        again.now_ms = node.now_ms + 1000
        again.measures(200)
        wire.mend()
        again.measures(20)
        wait_until(lambda: good(database) == node.said | again.said, f"each under its own name: {running.log}")
        assert bad(database) == ["PartCountGood"]
        assert quarantined(database) == []
        assert again.commands == []
        again.leaves()
    wire.close()


def test_a_kill_with_sessions_in_the_spool_loses_nothing(mosquitto: Broker, database: str, tmp_path: Path) -> None:
    """Data of a session born before the outage, its death, and another session that uses its aliases otherwise."""
    wire = Wire(database)
    quick = {"BRIDGE_HOLD_S": "1", "BRIDGE_PATIENCE_S": "2"}
    with bridge(mosquitto, wire.url, tmp_path, DEMO_PLANT, settings=quick) as running:
        node = EdgeNode(mosquitto.port)
        node.measures(20)
        wait_until(lambda: good(database) == node.said, f"the birth is stored: {running.log}")
        wire.cut()
        node.measures(200)
        wait_until(lambda: running.metric("spooled_messages") >= 200, f"messages on the disk: {running.log}")
        running.kill()
        running.start()
        wait_until(lambda: running.metric("spooled_messages") >= 200, "the bridge is back")
        node.breaks_off()
        wait_until(lambda: running.metric("spooled_messages") >= 201, "the death on the disk")
        again = EdgeNode(mosquitto.port, metrics=("PartCountReject", "PartCountGood"), session=1)
        again.now_ms = node.now_ms + 1000
        again.measures(200)
        wait_until(lambda: running.metric("spooled_messages") >= 403, "the new session on the disk")
        running.kill()
        wire.mend()
        running.start()
        wait_until(lambda: running.metric("spooled_messages") == 0 and running.health()[0], "the spool is empty")
        again.measures(20)
        wait_until(lambda: good(database) == node.said | again.said, f"each under its own name: {running.log}")
        assert bad(database) == ["PartCountGood"]
        assert quarantined(database) == []
        again.leaves()
    wire.close()


def test_after_a_kill_data_are_read_by_the_births_of_before_which_are_asked_for_again(
    mosquitto: Broker, database: str, tmp_path: Path
) -> None:
    with bridge(mosquitto, database, tmp_path, DEMO_PLANT) as running:
        node = EdgeNode(mosquitto.port)
        node.measures(10)
        wait_until(lambda: good(database) == node.said, f"all of the first session: {running.log}")
        running.kill()
        running.start()
        wait_until(lambda: running.health()[0], "the bridge is back")
        node.measures(1)
        wait_until(lambda: len(node.commands) == 1, f"a rebirth is asked for: {running.log}")
        node.measures(10)
        wait_until(lambda: good(database) == node.said, f"all of it: {running.log}")
        assert quarantined(database) == []
        assert running.metric("rebirth_requests_total") == 1
        node.leaves()


def test_what_was_born_while_the_bridge_was_dead_is_never_read_by_older_births(
    mosquitto: Broker, database: str, tmp_path: Path
) -> None:
    """This broker keeps no births for a bridge that is away, but it keeps the death."""
    with bridge(mosquitto, database, tmp_path, DEMO_PLANT) as running:
        node = EdgeNode(mosquitto.port)
        node.measures(10)
        wait_until(lambda: good(database) == node.said, f"all of the first session: {running.log}")
        running.kill()
        node.breaks_off()
        again = EdgeNode(mosquitto.port, metrics=("PartCountReject", "PartCountGood"), session=1)
        unheard = set(again.said)
        again.now_ms += 1000
        running.start()
        wait_until(lambda: running.health()[0], "the bridge is back")
        before = again.now_ms
        again.measures(1)
        unread = {key for key in list(again.said) if before < key[1] <= before + 2}
        wait_until(lambda: len(again.commands) == 1, f"a rebirth is asked for: {running.log}")
        again.measures(10)
        heard = {key: value for key, value in again.said.items() if key not in unheard | unread}
        wait_until(lambda: good(database) == node.said | heard, f"each under its own name: {running.log}")
        ((reason, payload),) = quarantined(database)
        assert (reason, json.loads(payload)["topic"]) == ("no_birth", "spBv1.0/Plant/DDATA/Edge1/Press01")
        assert len(unread) == 2
        assert bad(database) == ["PartCountGood"]
        again.leaves()


def test_what_quality_of_service_0_loses_in_a_kill_is_what_was_in_memory_and_is_stated(
    mosquitto: Broker, plain_database: str, tmp_path: Path
) -> None:
    """What cannot be saved: with the broker set as in deploy/mosquitto it keeps what comes while nobody is there."""
    mosquitto.restart_with("queue_qos0_messages true")
    away: set[tuple[str, int]] = set()
    with bridge(mosquitto, plain_database, tmp_path, DEMO_PLANT) as running:
        node = EdgeNode(mosquitto.port)
        node.answers = False
        node.measures(10)
        wait_until(lambda: good(plain_database) == node.said, f"the birth is there: {running.log}")
        for _ in range(4):
            for _ in range(60):
                node.measures(1)
                time.sleep(0.004)
            running.kill()
            before = set(node.said)
            node.measures(40)
            away |= set(node.said) - before
            running.start()
            wait_until(lambda: running.health()[0], "the bridge is back")
        node.measures(10)
        wait_until(lambda: max(node.said) in good(plain_database), f"the last one stored: {running.log}")
        lost = set(node.said) - set(good(plain_database))
        stated = sum(missing(plain_database))
        assert not lost & away, "what came while the bridge was away is there"
        assert len(lost) <= stated, "nothing is lost without being said"
        assert stated < 4 * 60, "what is stated was in memory: less than what came since the kill before"
        assert {reason for reason, _ in quarantined(plain_database)} <= {"sequence_gap"}
        node.leaves()


def missing(database: str) -> list[int]:
    """The numbers of messages that are said to be lost on the way."""
    with psycopg.connect(database) as conn:
        rows = conn.execute("SELECT detail FROM quarantine WHERE reason = 'sequence_gap'").fetchall()
    return [int(detail.split(": ")[1].split()[0]) for (detail,) in rows]


def test_a_node_that_does_not_answer_is_not_asked_with_every_message(
    mosquitto: Broker, database: str, tmp_path: Path
) -> None:
    with bridge(mosquitto, database, tmp_path, DEMO_PLANT) as running:
        node = EdgeNode(mosquitto.port)
        node.answers = False
        node.seq = 7
        node.measures(1)
        wait_until(lambda: len(node.commands) == 1, f"asked because of the gap: {running.log}")
        for seq in (20, 40, 60, 80):
            node.seq = seq
            node.measures(1)
        wait_until(lambda: good(database) == node.said, "what came is stored all the same")
        assert [reason for reason, _ in quarantined(database)] == ["sequence_gap"] * 5
        assert len(node.commands) == 1
        node.leaves()


def test_the_host_says_whether_it_is_there(
    mosquitto: Broker, database: str, tmp_path: Path, state_of_host: list[dict[str, object]]
) -> None:
    with bridge(mosquitto, database, tmp_path, DEMO_PLANT) as running:
        wait_until(lambda: len(state_of_host) == 1, "it is there")
        running.kill()
        wait_until(lambda: len(state_of_host) == 2, "its will says that it is gone")
        running.start()
        wait_until(lambda: len(state_of_host) == 3, "it is back")
        assert running.stop() == 0
        wait_until(lambda: len(state_of_host) == 4, "it left")
    assert [said["online"] for said in state_of_host] == [True, False, True, False]
    assert state_of_host[0]["timestamp"] == state_of_host[1]["timestamp"]


def test_noise_and_topics_with_a_meaning_of_their_own_stop_nobody(
    mosquitto: Broker, database: str, tmp_path: Path
) -> None:
    """Each message is data of a node or device nobody was told the birth of, or none at all."""
    dice = random.Random(20261123)
    topics = [
        "spBv1.0/Plant/NDATA/'; DROP TABLE quarantine; --",
        "spBv1.0/../NDATA/..",
        "spBv1.0/Plant/DDATA/Edge1/\u202e\U0001f4a5",
        "spBv1.0/Plant/NODATA/Edge1",
        "spBv1.0/Plant",
        "plain/'; DROP TABLE tag; --/b/c",
        "plain/AB_Line1/Nobody/%s%n{0}",
        "kepware/'; SELECT 1; --",
    ]
    with bridge(mosquitto, database, tmp_path, DEMO_PLANT) as running:
        node = EdgeNode(mosquitto.port)
        client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        client.connect("127.0.0.1", mosquitto.port)
        client.loop_start()
        for number, topic in enumerate(topics * 5):
            client.publish(topic, dice.randbytes(number * 7), qos=1).wait_for_publish(30)
            node.measures(1)
        client.publish("spBv1.0/Plant/NDATA/Edge9", b"\x12" * 10_000_000, qos=1).wait_for_publish(30)
        node.measures(1)
        wait_until(lambda: good(database) == node.said, f"what the node said: {running.log}")
        wait_until(lambda: running.metric("messages_total") >= 2 + 41 + 41 + 1, "all of it was read")
        assert len(quarantined(database)) == 41
        assert running.health() == (True, [])
        client.disconnect()
        client.loop_stop()
        node.leaves()
