"""The KEPServerEX project we ship and the plant file speak of the same tags."""

from __future__ import annotations

import json
from typing import Any

from prodlytics.edge.feeds import topic_filter
from prodlytics.formats.names import MachineNames
from prodlytics.plant.load import load_plant
from prodlytics.settings import DEMO_PLANT
from prodlytics_tests.servers.place import PROJECT

FOLDER = PROJECT / "deploy/kepserverex"


def read(name: str) -> Any:
    return json.loads((FOLDER / name).read_text())


def tags() -> list[str]:
    return [
        ".".join(part["common.ALLTYPES_NAME"] for part in (channel, device, tag))
        for channel in read("channels.json")
        for device in channel["devices"]
        for tag in device["tags"]
    ]


def test_every_published_tag_is_there_and_is_a_machines() -> None:
    names = MachineNames.of(load_plant(DEMO_PLANT))
    published = [item["iot_gateway.IOT_ITEM_SERVER_TAG"] for item in read("iot_items.json")]
    assert sorted(published) == sorted(tags())
    assert all(names.split(tag) for tag in published)


def test_every_tag_the_plant_file_needs_is_published() -> None:
    plant = load_plant(DEMO_PLANT)
    names = MachineNames.of(plant)
    published = {names.split(tag) for tag in tags()}
    for machine in plant.machines:
        metrics = [machine.state.metric, machine.fault_metric, machine.cycle_time_metric]
        needed = {*metrics, *(counter.metric for counter in machine.counters)} - {None}
        assert {(machine.id, metric) for metric in needed} <= published


def test_the_agent_publishes_where_the_bridge_listens_and_keeps_what_matters() -> None:
    agent = read("mqtt_client.json")
    feed = next(feed for feed in load_plant(DEMO_PLANT).feeds if feed.format == "kepserverex")
    assert agent["iot_gateway.MQTT_CLIENT_TOPIC"].startswith(topic_filter(feed).removesuffix("#"))
    assert agent["iot_gateway.MQTT_CLIENT_QOS"] == 1
    assert agent["iot_gateway.IGNORE_QUALITY_CHANGES"] is False
    assert not any("PASSWORD" in key for key in agent)
