"""A real shop's agent, asked over HTTP while it restarts, runs over, breaks off and answers nonsense."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import psycopg
import pytest

from prodlytics.edge.mtconnect import AgentReader, to_database
from prodlytics.edge.probe import Metrics
from prodlytics.plant.model import Plant
from prodlytics_tests.edge.agent import Agent, Observation, recorded
from prodlytics_tests.edge.rig import BridgeProcess, wait_until
from prodlytics_tests.plant.small_plant import SETTINGS


@pytest.fixture(scope="module")
def shop(shared_data: Path) -> list[Observation]:
    return recorded(shared_data / "nist_mazak01" / "agent")


@pytest.fixture
def agent(shop: list[Observation], shared_data: Path) -> Iterator[Agent]:
    devices = (shared_data / "nist_mazak01" / "agent" / "Devices.xml").read_bytes()
    made = Agent(shop, devices).start()
    yield made
    made.stop()


def settings_of(agent: Agent) -> dict[str, Any]:
    mill = {"id": "Mill01", "name": "Mill", "line": "L1", "aliases": ["GFAgie01"]}
    return deepcopy(SETTINGS) | {
        "timezone": "America/New_York",
        "first_day": "2016-01-01",
        "machines": [mill | {"state": {"metric": "execution", "map": {"READY": "idle", "ACTIVE": "running"}}}],
        "agents": [{"name": "shop", "url": agent.url, "interval_s": 0.1}],
    }


def reader(agent: Agent, database: str) -> AgentReader:
    plant = Plant.model_validate(settings_of(agent))
    return to_database(plant, plant.agents[0], database, 10.0, Metrics())


def reads_all(reading: AgentReader, agent: Agent, database: str) -> None:
    """Ask until the reader is where the agent is."""
    for _ in range(200):
        reading.step()
        if cursor(database) == (agent.instance, agent.seen + 1):
            return
    raise AssertionError(f"still at {cursor(database)}: {reading.problem()}")


def cursor(database: str) -> tuple[int, int] | None:
    with psycopg.connect(database) as conn:
        row = conn.execute("SELECT cursor FROM sync_state WHERE source = 'mtconnect/shop'").fetchone()
    return None if row is None else (row[0]["instance_id"], row[0]["next_sequence"])


def stored(database: str) -> dict[tuple[str, dt.datetime], float | str | None]:
    """Metric and time to number or text; None where the quality is bad."""
    with psycopg.connect(database) as conn:
        rows = conn.execute("SELECT metric_name, time, value, value_text, quality FROM machine_telemetry").fetchall()
    return {(name, time): (text if text is not None else value) if good >= 192 else None
            for name, time, value, text, good in rows}  # fmt: skip


def truth(observations: list[Observation]) -> dict[tuple[str, dt.datetime], float | str | None]:
    """The same, read from the shop's XML without our code."""
    said: dict[tuple[str, dt.datetime], float | str | None] = {}
    for _, group, one in observations:
        level = one.tag.rpartition("}")[2].upper()
        text = level if group == "Condition" else (one.text or "").strip()
        value: float | str | None = text
        if text == "UNAVAILABLE":
            value = None
        elif (group == "Samples" and " " not in text) or one.get("name") in ("line", "Fovr", "Sovr"):
            value = float(text)
        time = dt.datetime.fromisoformat(one.get("timestamp", ""))
        said[(one.get("name") or one.get("dataItemId") or "", time)] = value
    return said


def explained(database: str) -> list[tuple[str, str]]:
    with psycopg.connect(database) as conn:
        return conn.execute("SELECT reason, payload FROM quarantine ORDER BY quarantine_id").fetchall()


def test_everything_the_shop_said_is_stored_once_as_it_comes(
    agent: Agent, plain_database: str, shop: list[Observation]
) -> None:
    reading = reader(agent, plain_database)
    agent.seen = 60
    reads_all(reading, agent, plain_database)
    assert agent.asked[:2] == ["/probe", "/current"]
    for seen in (61, 500, 5_000, len(shop)):
        agent.seen = seen
        reads_all(reading, agent, plain_database)
    # The first answer was /current: what an item said before its latest is not in it.
    began = {one.get("dataItemId"): (n, g, one) for n, g, one in shop[:60]}
    assert stored(plain_database) == truth([*began.values(), *shop[60:]])
    assert explained(plain_database) == []
    asked = len(agent.asked)
    reading.step()
    assert agent.asked[asked:] == [f"/sample?from={len(shop) + 1}&count=10000"]


def test_units_come_from_the_agents_description(agent: Agent, plain_database: str, shop: list[Observation]) -> None:
    agent.seen = len(shop)
    reads_all(reader(agent, plain_database), agent, plain_database)
    with psycopg.connect(plain_database) as conn:
        units = dict(conn.execute("SELECT metric_name, unit FROM tag WHERE unit IS NOT NULL").fetchall())
    # The description is older than the answer: path_pos has another id there, and what it says is not believed.
    assert units == {"Aposition": "°", "Cposition": "°", "Xposition": "mm", "Yposition": "mm", "Zposition": "mm",
                     "Fovr": "%", "Sovr": "%"}  # fmt: skip


def test_another_reader_goes_on_where_the_first_one_was_killed(
    agent: Agent, plain_database: str, shop: list[Observation]
) -> None:
    agent.seen = 60
    reads_all(reader(agent, plain_database), agent, plain_database)
    agent.seen = 4_000
    reads_all(reader(agent, plain_database), agent, plain_database)
    assert agent.asked.count("/current") == 1
    assert truth(shop[60:4_000]).items() <= stored(plain_database).items()
    assert explained(plain_database) == []


def test_a_restart_of_the_agent_is_said_and_its_ring_read_from_the_start(
    agent: Agent, plain_database: str, shop: list[Observation]
) -> None:
    reading = reader(agent, plain_database)
    agent.seen = 3_000
    reads_all(reading, agent, plain_database)
    agent.restarts([(n - 3_000, group, one) for n, group, one in shop[3_000:]])
    agent.seen = 2_500
    reads_all(reading, agent, plain_database)
    assert truth(shop[3_000:5_500]).items() <= stored(plain_database).items()
    ((reason, payload),) = explained(plain_database)
    assert reason == "agent_restarted"
    assert json.loads(payload)["stopped_at"] == {"instance_id": 7, "next_sequence": 3_001}


def test_what_the_ring_ran_over_is_counted_and_the_rest_read(
    agent: Agent, plain_database: str, shop: list[Observation]
) -> None:
    agent.ring = 100
    reading = reader(agent, plain_database)
    agent.seen = 1_000
    reads_all(reading, agent, plain_database)
    agent.seen = 1_350
    reads_all(reading, agent, plain_database)
    ((reason, payload),) = explained(plain_database)
    assert reason == "sequence_gap"
    said = json.loads(payload)
    assert (said["stopped_at"]["next_sequence"], said["ring"]["first_sequence"]) == (1_001, 1_251)
    with psycopg.connect(plain_database) as conn:
        (detail,) = conn.execute("SELECT detail FROM quarantine").fetchone() or ("",)
    assert "250 observations from 1001 on were not read" in detail
    assert truth(shop[1_250:1_350]).items() <= stored(plain_database).items()


def test_an_answer_that_breaks_off_is_asked_for_again(
    agent: Agent, plain_database: str, shop: list[Observation]
) -> None:
    reading = reader(agent, plain_database)
    agent.seen = 60
    reads_all(reading, agent, plain_database)
    agent.seen, agent.cut_answers = 900, 2
    assert reading.step() > 0
    assert "cut off" in (reading.problem() or "")
    reads_all(reading, agent, plain_database)
    assert truth(shop[60:900]).items() <= stored(plain_database).items()
    assert (explained(plain_database), reading.problem()) == ([], None)


def test_an_observation_nobody_can_read_is_left_behind_alone(
    agent: Agent, plain_database: str, shop: list[Observation]
) -> None:
    reading = reader(agent, plain_database)
    agent.seen = 60
    reads_all(reading, agent, plain_database)
    agent.seen, agent.poison = 900, 444
    reads_all(reading, agent, plain_database)
    assert truth([*shop[60:443], *shop[444:900]]).items() <= stored(plain_database).items()
    assert [reason for reason, _ in explained(plain_database)] == ["bad_xml"]


def test_an_agent_that_is_away_is_said_and_asked_again(agent: Agent, plain_database: str) -> None:
    reading = reader(agent, plain_database)
    agent.stop()
    assert reading.step() > 0
    assert "does not answer" in (reading.problem() or "")
    agent.start()
    agent.down = True
    reading.step()
    assert "HTTP status 503" in (reading.problem() or "")
    agent.down, agent.seen = False, 60
    reads_all(reading, agent, plain_database)
    assert reading.problem() is None


def test_a_device_nobody_configured_is_one_row(agent: Agent, plain_database: str) -> None:
    settings = settings_of(agent)
    settings["machines"][0]["aliases"] = []
    plant = Plant.model_validate(settings)
    agent.seen = 500
    reads_all(to_database(plant, plant.agents[0], plain_database, 10.0, Metrics()), agent, plain_database)
    ((reason, payload),) = explained(plain_database)
    assert (reason, json.loads(payload)) == ("unknown_machine", {"device": ["GFAgie01", "mtc_adapter001"]})
    assert stored(plain_database) == {}
    settings["agents"][0]["devices"] = {"mtc_adapter001": "Mill01"}
    plant = Plant.model_validate(settings)
    agent.seen = 600
    reads_all(to_database(plant, plant.agents[0], plain_database, 10.0, Metrics()), agent, plain_database)
    assert len(stored(plain_database)) == 100


def test_a_bridge_of_agents_alone_needs_no_broker_and_survives_kills(
    agent: Agent, plain_database: str, tmp_path: Path, shop: list[Observation]
) -> None:
    plant = tmp_path / "plant.yaml"
    plant.write_text(json.dumps(settings_of(agent)), encoding="utf-8")  # JSON is YAML
    running = BridgeProcess(0, plain_database, tmp_path, plant).start()
    try:
        agent.seen = 60
        wait_until(lambda: cursor(plain_database) == (7, 61), f"the first answer: {running.log}")
        for seen in range(1_000, len(shop), 3_000):
            agent.seen = seen
            running.kill()
            running.start()
        agent.seen = len(shop)
        wait_until(lambda: cursor(plain_database) == (7, len(shop) + 1), f"all of it: {running.log}")
        wait_until(lambda: running.health() == (True, []), "well")
        assert truth(shop[60:]).items() <= stored(plain_database).items()
        assert explained(plain_database) == []
        assert running.stop() == 0
    finally:
        if running.process is not None and running.process.poll() is None:
            running.kill()


def test_the_truth_of_these_tests_is_the_shops(shop: list[Observation]) -> None:
    """10,049 sequence numbers counted in the file with grep; no two say something else of one item at one time."""
    assert len(shop) == 10_049
    assert [sequence for sequence, _, _ in shop] == list(range(1, 10_050))
    assert len(truth(shop)) == 10_049
