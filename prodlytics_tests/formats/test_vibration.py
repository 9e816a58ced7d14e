"""Vibration sensors arrive like any tag: those of a PLC once a second, those of a radio gateway once a minute."""

from __future__ import annotations

import re

from ruamel.yaml import YAML

from prodlytics.formats import kepserverex
from prodlytics.formats.judge import Rules
from prodlytics.plant.model import Agent, Feed
from prodlytics_tests.formats.floor import NOW, T, message, plant, sample
from prodlytics_tests.servers.place import PROJECT

STATE = {"map": {"1": "running"}}
RULES = Rules.of(
    plant(
        machines=[
            {"id": "Press01", "name": "One", "line": "L1", "state": STATE,
             "aliases": ["AB_Line1.Press01", "Modbus_Wireless.BannerGW.Press01"]},
            {"id": "Pump01", "name": "Two", "line": "L1", "state": STATE,
             "aliases": ["Modbus_Wireless.BannerGW.Pump01"]},
        ]
    ),
    NOW,
)  # fmt: skip


def test_a_wired_sensor_beside_a_radio_gateway_of_several_machines() -> None:
    wired = [
        sample(f"AB_Line1.Press01.{name}", v, t=T + second * 1000)
        for second in range(60)
        for name, v in (("Vibration_Velocity_mms", 2.1), ("Vibration_Acceleration_g", 0.4), ("Temperature_C", 41.5),
                        ("Vibration_Alarm", second == 59))
    ]  # fmt: skip
    radio = [
        sample(f"Modbus_Wireless.BannerGW.{machine}.{name}", v, t=T)
        for machine in ("Press01", "Pump01")
        for name, v in (("Bearing_Temperature_C", 39.0), ("Vibration_Velocity_mms", 1.7))
        if (machine, name) != ("Press01", "Vibration_Velocity_mms")
    ]
    parsed = kepserverex.parse_messages([message(*wired), message(*radio)], RULES, "test")
    assert len(parsed.bad) == 0
    rows = parsed.good.groupby(["machine_id", "metric_name", "unit"], observed=True, dropna=False).size()
    assert {tuple(key if key == key else None for key in keys): count for keys, count in rows.items()} == {
        ("Press01", "Vibration_Velocity_mms", "mm/s"): 60,
        ("Press01", "Vibration_Acceleration_g", "g"): 60,
        ("Press01", "Temperature_C", "°C"): 60,
        ("Press01", "Vibration_Alarm", None): 60,
        ("Press01", "Bearing_Temperature_C", "°C"): 1,
        ("Pump01", "Bearing_Temperature_C", "°C"): 1,
        ("Pump01", "Vibration_Velocity_mms", "mm/s"): 1,
    }
    alarms = parsed.good[parsed.good["metric_name"] == "Vibration_Alarm"]["value"]
    assert alarms.tolist() == [0.0] * 59 + [1.0]


def test_the_examples_of_the_documentation_are_valid() -> None:
    text = (PROJECT / "docs" / "edge.md").read_text(encoding="utf-8")
    blocks = [YAML(typ="safe").load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    feeds = [Feed.model_validate(feed) for block in blocks for feed in block.get("feeds", [])]
    agents = [Agent.model_validate(agent) for block in blocks for agent in block.get("agents", [])]
    assert {feed.format for feed in feeds} == {"kepserverex", "plain", "sparkplug"}
    assert len(agents) == 2
    for feed in feeds:
        kepserverex.Fields.named(dict(feed.fields))
