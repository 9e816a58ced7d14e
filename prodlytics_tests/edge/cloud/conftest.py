"""Fixtures of the tests of the way to the cloud."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from prodlytics_tests.servers import iot_hub
from prodlytics_tests.servers import mosquitto as mqtt_server
from prodlytics_tests.servers.iot_hub import Hub


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with mqtt_server.running() as broker, iot_hub.running(broker, tmp_path) as running:
        yield running
