"""A disk that takes nothing under the way to the cloud: the database goes on, and what is lost is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from prodlytics.settings import DEMO_PLANT
from prodlytics_tests.edge.cloud.hub_rig import counts, settings
from prodlytics_tests.edge.rig import BridgeProcess, Machine, bridge, stored, wait_until
from prodlytics_tests.edge.wire import Wire
from prodlytics_tests.servers.iot_hub import Hub
from prodlytics_tests.servers.mosquitto import Broker


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    file = tmp_path / "plant.yaml"
    file.write_text(f"{DEMO_PLANT.read_text()}\ncloud: {{urgent_s: 0.5, batch_s: 1}}\n")
    return file


def at_risk(database: str) -> list[dict[str, Any]]:
    """What the quarantine says of samples that may be missing in the cloud."""
    with psycopg.connect(database) as conn:
        rows = conn.execute("SELECT payload FROM quarantine WHERE reason = 'not_forwarded'").fetchall()
    return [json.loads(payload) for (payload,) in rows]


def complains(running: BridgeProcess) -> bool:
    return any("wait in memory" in problem for problem in running.health()[1])


def fill(machine: Machine, running: BridgeProcess) -> None:
    """Samples until the disk takes none, and some more."""
    for _ in range(200):
        machine.say(5, samples=40)
        if complains(running):
            break
    machine.say(20, samples=5)


def test_a_kill_beside_a_full_disk_loses_what_the_quarantine_says_and_no_more(
    mosquitto: Broker, plain_database: str, tmp_path: Path, plant: Path, hub: Hub
) -> None:
    """The first time the disk gets room in time, and nothing is lost; the second time the bridge is killed."""
    home = tmp_path / "home"
    with bridge(mosquitto, plain_database, home, plant, settings=settings(hub), largest_file=300_000) as running:
        machine = Machine(mosquitto.port)
        hub.cut()
        fill(machine, running)
        wait_until(lambda: stored(plain_database) == machine.said, f"the database goes on: {running.log}")
        wait_until(lambda: running.metric("waiting_messages") == 0, "and the broker is told so")
        (said,) = at_risk(plain_database)
        assert said["waiting"] > 100
        assert not running.health()[0]
        running.disk_has_space_again()
        machine.say(1)
        wait_until(lambda: at_risk(plain_database) == [], "nothing is at risk any more")
        hub.mend()
        wait_until(lambda: counts(hub) == machine.said, f"the hub has all: {running.log}")
        wait_until(lambda: running.health() == (True, []), "well again")
        hub.cut()
        running.kill()
        running.start()
        wait_until(lambda: running.metric("waiting_messages") == 0, "it is back, with a full disk")
        fill(machine, running)
        wait_until(lambda: stored(plain_database) == machine.said, f"the database goes on: {running.log}")
        wait_until(lambda: running.metric("waiting_messages") == 0, "nothing is left with the broker")
        (said,) = at_risk(plain_database)
        running.kill()
        running.largest_file = None
        running.start()
        hub.mend()
        machine.say(10)
        wait_until(lambda: max(machine.said) in counts(hub), f"the hub has the last: {running.log}")
        missing = machine.said.keys() - counts(hub).keys()
        assert len(missing) == said["waiting"]
        assert at_risk(plain_database) == [said], "the loss stays on record"
        machine.leave()


def test_without_a_database_the_spool_keeps_what_the_outbox_does_not_take(
    mosquitto: Broker, plain_database: str, tmp_path: Path, plant: Path, hub: Hub
) -> None:
    """Neither database nor hub, the outbox is full with counters, then a kill: nothing is lost, nothing twice."""
    wire = Wire(plain_database)
    small = settings(hub, BRIDGE_PATIENCE_S="2", CLOUD_LIMIT_MB="1")
    with bridge(mosquitto, wire.url, tmp_path / "home", plant, settings=small) as running:
        machine = Machine(mosquitto.port)
        machine.say(1)
        wait_until(lambda: counts(hub) == machine.said, f"the way is open: {running.log}")
        hub.cut()
        wire.cut()
        machine.say(160, samples=50)
        wait_until(lambda: running.metric("spooled_messages") >= 160, f"spooled: {running.log}")
        wait_until(
            lambda: any("must not be dropped" in problem for problem in running.health()[1]),
            f"a complaint: {running.log}",
        )
        running.kill()
        running.start()
        hub.mend()
        wait_until(lambda: counts(hub) == machine.said, f"forwarded from the spool after all: {running.log}")
        wire.mend()
        wait_until(lambda: stored(plain_database) == machine.said, f"stored: {running.log}")
        wait_until(lambda: running.health() == (True, []), "well again")
        assert at_risk(plain_database) == []
        times = [s["time_us"] for s in hub.samples if s["metric"] == "PartCountGood"]
        assert len(set(times)) == len(times)
        machine.leave()
    wire.close()
