"""The story is simulated once for all end-to-end tests of a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from prodlytics_tests.end_to_end.plant_run import make_story


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("story")
    make_story(folder)
    return folder
