"""A plant with feeds, for all tests of the bridge."""

from __future__ import annotations

from pathlib import Path

import pytest

from prodlytics.settings import DEMO_PLANT

FEEDS = """
feeds:
  - {name: kepserverex, topic: kepware/#}
  - {name: plain, topic: "plain/{channel}/{device}/{tag}", format: plain}
"""


@pytest.fixture(scope="session")
def plant_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("plant") / "plant.yaml"
    file.write_text(DEMO_PLANT.read_text() + FEEDS)
    return file
