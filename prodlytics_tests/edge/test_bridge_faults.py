"""The database, the broker, the network and the disk go away and come back: nothing is lost, nothing is doubled."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from prodlytics.settings import DEMO_PLANT
from prodlytics_tests.edge.rig import Machine, bridge, stored, wait_until
from prodlytics_tests.edge.wire import Wire
from prodlytics_tests.servers.mosquitto import Broker

#: Of the brokers of these tests, as in deploy/mosquitto.
AUTOSAVE_S = 5
QUICK = {"BRIDGE_HOLD_S": "1", "BRIDGE_PATIENCE_S": "2"}


@pytest.fixture
def wire(database: str) -> Iterator[Wire]:
    cable = Wire(database)
    yield cable
    cable.close()


def test_a_database_that_is_away_for_long_costs_nothing(
    mosquitto: Broker, database: str, wire: Wire, tmp_path: Path
) -> None:
    """First the broker holds the messages, then the gateway's disk; a kill in between changes nothing."""
    with bridge(mosquitto, wire.url, tmp_path, DEMO_PLANT, settings=QUICK) as running:
        machine = Machine(mosquitto.port)
        machine.say(100)
        wire.cut()
        machine.say(500)
        wait_until(lambda: running.metric("spooled_messages") >= 500, f"messages on the disk: {running.log}")
        healthy, problems = running.health()
        assert not healthy
        assert "No database" in problems[0]
        running.kill()
        running.start()
        machine.say(300)
        wait_until(lambda: running.metric("spooled_messages") >= 800, "more messages on the disk")
        wire.mend()
        machine.say(100)
        wait_until(lambda: len(stored(database)) == len(machine.said), f"all stored: {running.log}")
        assert stored(database) == machine.said
        wait_until(lambda: running.health() == (True, []), "well again")
        assert running.metric("spooled_messages") == 0
        machine.leave()


def test_a_database_that_hangs_is_left(mosquitto: Broker, database: str, wire: Wire, tmp_path: Path) -> None:
    """The connection stays open and no answer comes: after its patience the bridge spools, and later goes on."""
    with bridge(mosquitto, wire.url, tmp_path, DEMO_PLANT, settings=QUICK) as running:
        machine = Machine(mosquitto.port)
        machine.say(50)
        wire.go_dead()
        machine.say(200)
        wait_until(lambda: running.metric("spooled_messages") >= 200, f"messages on the disk: {running.log}")
        wire.cut()
        wire.mend()
        wait_until(lambda: len(stored(database)) == len(machine.said), f"all stored: {running.log}")
        assert stored(database) == machine.said
        machine.leave()


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_broker_that_restarts_or_dies_loses_nothing_it_acknowledged(
    mosquitto: Broker, database: str, tmp_path: Path, how: str
) -> None:
    with bridge(mosquitto, database, tmp_path, DEMO_PLANT) as running:
        machine = Machine(mosquitto.port)
        for _ in range(3):
            machine.say(200)
            getattr(mosquitto, how)()
            mosquitto.start()
            wait_until(lambda: running.health()[0], "the bridge is back")
        machine.say(100)
        wait_until(lambda: len(stored(database)) == len(machine.said), f"all stored: {running.log}")
        assert stored(database) == machine.said
        machine.leave()


@pytest.mark.parametrize("how", ["cut", "go_dead"])
def test_a_network_that_goes_away_loses_nothing(mosquitto: Broker, database: str, tmp_path: Path, how: str) -> None:
    """The cable to the broker: pulled out, or whole to look at and nothing comes through."""
    cable = Wire(f"mqtt://127.0.0.1:{mosquitto.port}")
    far = replace(mosquitto, port=cable.port)
    with bridge(far, database, tmp_path, DEMO_PLANT) as running:
        machine = Machine(mosquitto.port)
        machine.say(100)
        getattr(cable, how)()
        machine.say(300)
        wait_until(lambda: any("No broker" in problem for problem in running.health()[1]), "it says so")
        machine.say(100)
        cable.mend()
        wait_until(lambda: len(stored(database)) == len(machine.said), f"all stored: {running.log}")
        assert stored(database) == machine.said
        wait_until(lambda: running.health() == (True, []), "well again")
        machine.leave()
    cable.close()


@pytest.mark.parametrize("qos", [1, 0])
def test_a_broker_that_dies_with_nobody_there_loses_at_most_what_came_since_it_saved(
    mosquitto: Broker, plain_database: str, tmp_path: Path, qos: int
) -> None:
    """What cannot be saved: nobody else had what Mosquitto had not yet written, every five seconds.

    Quality of service 0, as Sparkplug has it, is queued like 1 with the setting of deploy/mosquitto. The bound is what
    is published in one interval and the second in which the broker looks whether it is over.
    """
    mosquitto.restart_with("queue_qos0_messages true")
    with bridge(mosquitto, plain_database, tmp_path, DEMO_PLANT) as running:
        machine = Machine(mosquitto.port, qos=qos)
        machine.say(10)
        wait_until(lambda: stored(plain_database) == machine.said, "the session is there")
        running.stop()
        published: dict[int, float] = {}
        until = time.monotonic() + 12
        while time.monotonic() < until:
            machine.say(1)
            published[max(machine.said)] = time.monotonic()
            time.sleep(0.02)
        mosquitto.kill()
        died = time.monotonic()
        mosquitto.start()
        running.start()
        machine.say(10)
        wait_until(lambda: max(machine.said) in stored(plain_database), f"the last one stored: {running.log}")
        lost = sorted(set(machine.said) - set(stored(plain_database)))
        assert all(died - published[one] < AUTOSAVE_S + 1 for one in lost)
        assert lost == sorted(published)[len(published) - len(lost) :], "what is lost is the newest, without holes"
        machine.leave()


def test_a_full_disk_leaves_messages_with_the_broker_and_says_so(
    mosquitto: Broker, database: str, wire: Wire, tmp_path: Path
) -> None:
    with bridge(mosquitto, wire.url, tmp_path, DEMO_PLANT, settings=QUICK, largest_file=200_000) as running:
        machine = Machine(mosquitto.port)
        wire.cut()
        for _ in range(30):
            machine.say(20, samples=20)
        wait_until(
            lambda: any("stay with the broker" in problem for problem in running.health()[1]),
            f"a complaint about the disk: {running.log}",
        )
        running.disk_has_space_again()
        wire.mend()
        wait_until(lambda: len(stored(database)) == len(machine.said), f"all stored: {running.log}")
        assert stored(database) == machine.said
        wait_until(lambda: running.health() == (True, []), "well again")
        machine.leave()
