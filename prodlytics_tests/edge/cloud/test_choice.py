"""What leaves the plant: every change that counts, of the rest what leaves its dead-band."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from prodlytics.edge.cloud.choice import Choice
from prodlytics.plant.load import load_plant
from prodlytics.plant.model import Plant
from prodlytics.settings import DEMO_PLANT
from prodlytics_tests.test_cli import one_sentence, prodlytics

CLOUD = {"repeat_after_s": 60, "dead_bands": {"Power_kW": 0.5}}


def demo(cloud: dict[str, object]) -> Plant:
    return Plant.model_validate({**load_plant(DEMO_PLANT).model_dump(), "cloud": cloud})


def forwarded(metric: str, said: list[tuple[float, float | str, int]]) -> list[float]:
    """The times (seconds) of the samples that are forwarded, of one tag said as time, value and quality."""
    batch = pd.DataFrame(
        {
            "time": pd.to_datetime([int(at * 1e6) for at, _, _ in said], unit="us", utc=True),
            "machine_id": "Press01",
            "metric_name": metric,
            "native_code": "",
            "value": [float("nan") if isinstance(value, str) else value for _, value, _ in said],
            "value_text": [value if isinstance(value, str) else None for _, value, _ in said],
            "quality": [quality for _, _, quality in said],
        }
    )
    batch["time"] = batch["time"].dt.as_unit("us")
    choice = Choice(demo(CLOUD))
    return [json.loads("{" + one.body)["time_us"] / 1e6 for one in choice.of(batch)]


@pytest.mark.parametrize(
    ("metric", "said", "times"),
    [
        # Every change of a state, however short; what only repeats it once a minute; late ones all.
        ("MachineState", [(1, 1, 192), (2, 1, 192), (3, 2, 192), (3.1, 1, 192), (63.1, 1, 192)], [1, 3, 3.1, 63.1]),
        ("MachineState", [(10, 1, 192), (5, 1, 192), (11, 1, 192)], [10, 5]),
        ("MachineState", [(10, 1, 192), (5, 2, 192), (11, 2, 192)], [10, 5, 11]),
        ("PartCountGood", [(1, 7, 192), (2, 7, 192), (3, 8, 192), (4, 0, 192)], [1, 3, 4]),
        # Measured from what was sent last, so that slow drift is seen.
        ("Power_kW", [(1, 10, 192), (2, 10.4, 192), (3, 10.5, 192), (4, 10.6, 192), (5, 10.2, 192)], [1, 4]),
        ("Temperature_C", [(1, 20, 192), (2, 20, 192), (3, 20.1, 192)], [1, 3]),
        ("Power_kW", [(1, 10, 192), (2, 10, 0), (3, 10, 0), (4, 10, 192)], [1, 2, 4]),
        ("ToolID", [(1, "T1", 192), (2, "T1", 192), (3, "T2", 192)], [1, 3]),
        ("Power_kW", [(1, 10, 192), (2, float("nan"), 192), (3, float("nan"), 192), (4, 10, 192)], [1, 2, 4]),
    ],
)
def test_what_is_forwarded(metric: str, said: list[tuple[float, float | str, int]], times: list[float]) -> None:
    assert forwarded(metric, said) == times


@pytest.mark.parametrize("metric", ["MachineState", "PartCountGood", "ActiveFaultCode"])
def test_nobody_can_put_a_dead_band_on_what_counts(metric: str) -> None:
    with pytest.raises(ValueError, match=f"{metric} is a state, fault, alarm or counter of Press01"):
        demo({"dead_bands": {metric: 1}})


def test_a_wrong_connection_string_is_one_sentence(plain_database: str, tmp_path: Path) -> None:
    settings = {"MQTT_URL": "mqtt://127.0.0.1:1", "IOTHUB_CONNECTION_STRING": "HostName=h;DeviceId=d;SharedAccessKey=%"}
    done = prodlytics(
        "bridge", home=tmp_path, PRODLYTICS_DATABASE_URL=plain_database,
        **{f"PRODLYTICS_{name}": value for name, value in settings.items()},
    )  # fmt: skip
    assert done.returncode == 2
    assert "SharedAccessKey in Base64" in one_sentence(done)
