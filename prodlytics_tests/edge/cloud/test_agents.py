"""What agents say reaches the cloud whatever the database does, and the database has it afterwards."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from prodlytics_tests.edge.agent import Agent, Observation, recorded
from prodlytics_tests.edge.cloud.hub_rig import settings
from prodlytics_tests.edge.rig import BridgeProcess, wait_until
from prodlytics_tests.edge.test_mtconnect import cursor, settings_of, stored, truth
from prodlytics_tests.edge.wire import Wire
from prodlytics_tests.servers.iot_hub import Hub


@pytest.fixture
def agent(shared_data: Path) -> Iterator[Agent]:
    folder = shared_data / "nist_mazak01" / "agent"
    made = Agent(recorded(folder), (folder / "Devices.xml").read_bytes()).start()
    yield made
    made.stop()


def changes(observations: list[Observation], begin: int, end: int) -> set[tuple[str, int]]:
    """Name and time (microseconds) of what says something else than the one before of its item; conditions left out."""
    last: dict[str | None, str] = {}
    found = set()
    for sequence, group, one in observations[:end]:
        text, item = (one.text or "").strip(), one.get("dataItemId")
        if group != "Condition" and sequence > begin and not same(last.get(item), text):
            found.add((one.get("name") or item or "", microseconds(one)))
        last[item] = text
    return found


def same(one: str | None, other: str) -> bool:
    try:
        return one is not None and float(one) == float(other)
    except ValueError:
        return one == other


def microseconds(one: ElementTree.Element) -> int:
    since_1970 = dt.datetime.fromisoformat(one.get("timestamp", "")) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return since_1970 // dt.timedelta(microseconds=1)


def forwarded(hub: Hub) -> set[tuple[str, int]]:
    return {(one["metric"], one["time_us"]) for one in hub.samples}


def test_agents_are_forwarded_without_a_database_and_stored_when_it_is_back(
    agent: Agent, plain_database: str, tmp_path: Path, hub: Hub
) -> None:
    """First there is none at all, then it hangs, and the bridge is killed meanwhile."""
    plant = tmp_path / "plant.yaml"
    cloud = {"urgent_s": 0.5, "batch_s": 1, "repeat_after_s": 86_400}
    plant.write_text(json.dumps(settings_of(agent) | {"cloud": cloud}))
    shop, wire = agent.observations, Wire(plain_database)
    wire.cut()
    agent.seen = 60
    running = BridgeProcess(0, wire.url, tmp_path / "home", plant, settings=settings(hub, BRIDGE_PATIENCE_S="2"))
    running.start()
    try:
        wait_until(lambda: len(hub.samples) > 20, f"what the agent knows: {running.log}")
        agent.seen = 300
        wait_until(lambda: changes(shop, 60, 300) <= forwarded(hub), f"forwarded without a database: {running.log}")
        wire.mend()
        wait_until(lambda: cursor(plain_database) == (7, 301), f"stored from where the cloud began: {running.log}")
        wire.go_dead()
        agent.seen = 600
        wait_until(lambda: changes(shop, 60, 600) <= forwarded(hub), f"forwarded while it hangs: {running.log}")
        running.kill()
        running.start()
        agent.seen = 900
        wait_until(lambda: changes(shop, 60, 900) <= forwarded(hub), f"and after a kill: {running.log}")
        wire.cut()
        wire.mend()
        wait_until(lambda: cursor(plain_database) == (7, 901), f"all stored: {running.log}")
        agent.seen = 1_000
        wait_until(lambda: cursor(plain_database) == (7, 1_001), "stored")
        wait_until(lambda: changes(shop, 60, 1_000) <= forwarded(hub), "and forwarded")
        assert truth(shop[60:1_000]).items() <= stored(plain_database).items()
        bodies = [json.dumps({name: one[name] for name in one if name != "seq"}) for one in hub.samples]
        assert len(set(bodies)) == len(bodies), "nothing twice"
        assert {at for _, at in forwarded(hub)} <= {microseconds(one) for _, _, one in shop[:1_000]}
    finally:
        if running.process is not None:
            running.kill()
        wire.close()
