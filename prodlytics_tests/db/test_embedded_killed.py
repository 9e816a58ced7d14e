"""A start of the embedded server that is killed at any moment leaves nothing in the way of the next one."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from prodlytics.db import embedded
from prodlytics_tests.servers.place import CACHE

_START = "import sys, pathlib; from prodlytics.db import embedded; embedded.ensure_running(pathlib.Path(sys.argv[1]))"


@pytest.fixture
def home() -> Iterator[Path]:
    """A home in the project's cache, without a server."""
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="embedded-", dir=CACHE))
    folder.chmod(0o755)
    yield folder
    embedded.remove(folder)
    shutil.rmtree(folder)


# From importing over initdb (which lives on alone) to starting (which does too).
@pytest.mark.parametrize("delay_s", [0.2, 0.4, 0.6, 0.8, 1.0])
def test_the_next_start_is_whole(home: Path, delay_s: float) -> None:
    starter = subprocess.Popen([sys.executable, "-c", _START, str(home)])
    time.sleep(delay_s)
    starter.kill()
    starter.wait()
    with psycopg.connect(embedded.ensure_running(home)) as conn:
        assert conn.execute("SELECT current_database()").fetchone() == ("prodlytics",)
