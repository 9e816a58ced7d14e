"""The flow we ship loads in a real Node-RED, republishes odd sources, and what it sends is stored by the bridge."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

import psycopg
import pytest

from prodlytics.settings import DEMO_PLANT
from prodlytics_tests.edge.rig import bridge, wait_until
from prodlytics_tests.servers import node_red
from prodlytics_tests.servers.mosquitto import Broker
from prodlytics_tests.servers.place import PROJECT, Unavailable


def post(port: int, body: object) -> int:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/odd", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_an_odd_source_reaches_the_database_with_its_own_time(
    mosquitto: Broker, plain_database: str, tmp_path: Path
) -> None:
    plant = tmp_path / "plant.yaml"
    plant.write_text(DEMO_PLANT.read_text().replace("[AB_Line1.Press01]", "[AB_Line1.Press01, ODD.Press_1]"))
    flow = (PROJECT / "deploy/node-red/flow.json").read_text().replace('"1883"', f'"{mosquitto.port}"')
    try:
        with node_red.running(flow) as red, bridge(mosquitto, plain_database, tmp_path / "bridge", plant):
            reading = {
                "device": "Press 1",
                "at": "2026-11-20T10:00:00.250Z",
                "readings": {"Temperature_C": 21.5, "Lid": True},
            }
            # Node-RED answers before it is connected to the broker; what it is given before then it keeps.
            wait_until(lambda: "Connected to broker" in red.log.read_text(), "Node-RED's connection")
            assert post(red.port, reading) == 202
            assert post(red.port, {"device": "Press 1", "readings": {"Temperature_C": 21.5}}) == 400
            with psycopg.connect(plain_database, autocommit=True) as conn:
                query = (
                    "SELECT metric_name, value, time AT TIME ZONE 'UTC' FROM machine_telemetry"
                    " WHERE machine_id = 'Press01' ORDER BY metric_name"
                )
                wait_until(lambda: len(conn.execute(query).fetchall()) == 2, "both values stored")
                rows = [(metric, value, str(time)) for metric, value, time in conn.execute(query).fetchall()]
    except Unavailable as reason:
        pytest.skip(str(reason))
    at = "2026-11-20 10:00:00.250000"
    assert rows == [("Lid", 1.0, at), ("Temperature_C", 21.5, at)]
