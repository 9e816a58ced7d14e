"""On a gateway only what requirements-edge.lock names is installed, and the bridge works there."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

import prodlytics
from prodlytics.settings import DEMO_PLANT
from prodlytics_tests.edge.rig import Machine, bridge, stored, wait_until
from prodlytics_tests.servers.mosquitto import Broker
from prodlytics_tests.servers.place import PROJECT

#: A Python without the packages of this environment (-S), where links to some of them are.
BARE = (sys.executable, "-S")


@pytest.fixture
def slim(tmp_path: Path) -> Path:
    """A folder with the packages of the lock file at the versions installed here, and ours."""
    folder = tmp_path / "packages"
    folder.mkdir()
    lock = (PROJECT / "requirements-edge.lock").read_text()
    for name, version in re.findall(r"^([a-z0-9.-]+)(?:\[[a-z,]+\])?==([^ ]+)", lock, re.MULTILINE):
        found = distribution(name)
        assert found.version == version, name
        for file in found.files or []:
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (folder / top).exists():
                (folder / top).symlink_to(Path(str(found.locate_file(top))))
    (folder / "prodlytics").symlink_to(Path(prodlytics.__file__).parent)
    return folder


def test_the_bridge_runs_where_dagster_is_not_installed(
    mosquitto: Broker, plain_database: str, tmp_path: Path, slim: Path
) -> None:
    missing = subprocess.run(
        [*BARE, "-c", "import dagster"], env={"PYTHONPATH": str(slim)}, capture_output=True, text=True, check=False
    )
    assert "No module named 'dagster'" in missing.stderr
    environment = {"PYTHONPATH": str(slim)}
    with bridge(
        mosquitto, plain_database, tmp_path / "home", DEMO_PLANT, python=BARE, environment=environment
    ) as slimmed:
        machine = Machine(mosquitto.port)
        machine.say(50, samples=3)
        wait_until(lambda: stored(plain_database) == machine.said, f"all stored: {slimmed.log}")
        assert slimmed.stop() == 0
        machine.leave()
    (tmp_path / "home" / "landing").mkdir()
    doctor = subprocess.run(
        [*BARE, "-m", "prodlytics.cli", "doctor"], env={**environment, "PRODLYTICS_HOME": str(tmp_path / "home")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (doctor.returncode, doctor.stderr) == (0, ""), doctor.stderr
    assert "landing place: This installation has no fsspec" in doctor.stdout
