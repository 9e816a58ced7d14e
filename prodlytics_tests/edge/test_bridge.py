"""What the broker took is in the database, once, whatever dies in between."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import psycopg

from prodlytics.settings import DEMO_PLANT
from prodlytics_tests.edge.rig import BridgeProcess, Machine, bridge, quarantined, stored, wait_until
from prodlytics_tests.servers.mosquitto import Broker


def test_what_is_published_is_stored_with_its_own_time(mosquitto: Broker, database: str, tmp_path: Path) -> None:
    with bridge(mosquitto, database, tmp_path, DEMO_PLANT) as running:
        machine = Machine(mosquitto.port)
        machine.say(200)
        machine.say(20, samples=100)
        wait_until(lambda: len(stored(database)) == len(machine.said), "all samples stored")
        assert stored(database) == machine.said
        assert running.metric("samples_total") == 2200
        assert running.stop() == 0
        machine.leave()


def test_a_bridge_that_is_killed_again_and_again_loses_nothing(
    mosquitto: Broker, database: str, tmp_path: Path
) -> None:
    with bridge(mosquitto, database, tmp_path, DEMO_PLANT) as running:
        machine = Machine(mosquitto.port)
        dice = random.Random(20261123)
        for _ in range(4):
            for _ in range(10):
                machine.say(30)
                time.sleep(dice.uniform(0, 0.03))
            running.kill()
            machine.say(50)
            running.start()
        wait_until(lambda: len(stored(database)) == len(machine.said), "all samples stored")
        assert stored(database) == machine.said
        machine.leave()


def test_poison_is_explained_and_stops_nobody(mosquitto: Broker, database: str, tmp_path: Path) -> None:
    now = int(time.time() * 1000)
    poison = {
        "bad_json": b'{"timestamp": 1, "values": [{"id": "AB_Line1.Press01.PartC',
        "bad_utf8": b"\xff\xfe{}",
        "unknown_shape": b"[]",
        "unknown_machine": json.dumps({"id": "Nobody.Knows.Me", "v": 1, "q": True, "t": now}).encode(),
        "not_a_number": json.dumps({"id": "AB_Line1.Press01.X", "v": float("nan"), "q": True, "t": now}).encode(),
        "future_time": json.dumps({"id": "AB_Line1.Press01.X", "v": 1, "q": True, "t": now + 31_536_000_000}).encode(),
        "before_first_day": json.dumps({"id": "AB_Line1.Press01.X", "v": 1, "q": True, "t": 1}).encode(),
        "unstorable_text": json.dumps({"id": "AB_Line1.Press01.X", "v": "a\x00b", "q": True, "t": now}).encode(),
    }
    with bridge(mosquitto, database, tmp_path, DEMO_PLANT) as running:
        machine = Machine(mosquitto.port)
        for payload in poison.values():
            machine.says(payload)
            machine.say(1)
        large = json.dumps({"timestamp": 1, "values": [], "why": "x" * 10_000_000}).encode()
        for payload in (b"{" * 10_000_000, large):
            machine.says(payload)
        machine.say(1)
        wait_until(lambda: len(stored(database)) == len(machine.said), "the good ones stored")
        wait_until(lambda: len(quarantined(database)) == len(poison) + 2, "each bad one explained")
        said = quarantined(database)
        assert sorted(reason for reason, _ in said) == sorted([*poison, "too_large", "too_large"])
        sizes = [json.loads(payload)["bytes"] for reason, payload in said if reason == "too_large"]
        assert sorted(sizes) == sorted([10_000_000, len(large)])
        assert running.health() == (True, [])
        machine.leave()


def test_a_dashboard_sees_what_was_published_without_a_dagster_run(
    mosquitto: Broker, database: str, tmp_path: Path
) -> None:
    """The live views of a database in which nothing was ever derived."""
    with bridge(mosquitto, database, tmp_path, DEMO_PLANT), psycopg.connect(database, autocommit=True) as conn:
        machine = Machine(mosquitto.port)

        def says(tag: str, value: float) -> None:
            sample = {"id": f"AB_Line1.Press01.{tag}", "v": value, "q": True, "t": int(time.time() * 1000)}
            machine.says(json.dumps({"timestamp": sample["t"], "values": [sample]}).encode())

        def shown() -> tuple[Any, ...] | None:
            return conn.execute(
                "SELECT s.state, s.native_state, p.good_count FROM live_machine_status s"
                " JOIN live_production p USING (machine_id) WHERE s.machine_id = 'Press01'"
            ).fetchone()

        says("MachineState", 1)
        says("PartCountGood", 500)
        wait_until(lambda: shown() == ("running", "1", 0), "running, and the first reading is no part")
        says("PartCountGood", 501)
        wait_until(lambda: shown() == ("running", "1", 1), "one part more")
        says("MachineState", 3)
        wait_until(lambda: shown() == ("fault", "3", 1), "in fault")
        assert len(conn.execute("SELECT FROM live_machine_status").fetchall()) == 12
        assert conn.execute("SELECT count(*) FROM machine_states").fetchone() == (0,)
        machine.leave()


def test_a_second_bridge_refuses(mosquitto: Broker, database: str, tmp_path: Path) -> None:
    """In the same folder, and in another one with the same database: it says so, and the first goes on."""
    with bridge(mosquitto, database, tmp_path / "one", DEMO_PLANT) as running:
        machine = Machine(mosquitto.port)
        for home in ("one", "two"):
            second = BridgeProcess(mosquitto.port, database, tmp_path / home, DEMO_PLANT).start()
            assert second.process is not None
            assert second.process.wait(60) == 1
            assert "Another bridge" in second.log
        machine.say(10)
        wait_until(lambda: stored(database) == machine.said, "the first one still stores")
        assert running.health() == (True, [])
        machine.leave()
