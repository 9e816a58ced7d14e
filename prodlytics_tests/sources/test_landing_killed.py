"""A loader that is killed with SIGKILL, at whatever instant, leaves nothing half done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from prodlytics.datasets.registry import DATASETS
from prodlytics.sources.landing import load_pending
from prodlytics_tests.sources.landing_place import assert_accounted, books, kep, landing_plant, put, rows

ROWS = 10_000
#: Says "." after each batch that is written, so that the test knows where to strike.
LOADER = """
import sys
from prodlytics.db import telemetry
from prodlytics.formats import kepserverex
from prodlytics.sources.landing import load_pending
from prodlytics_tests.sources.landing_place import landing_plant

kepserverex.BATCH = 500
write = telemetry.write_samples

def write_and_tell(*args, **kwargs):
    result = write(*args, **kwargs)
    print(".", end="", flush=True)
    return result

telemetry.write_samples = write_and_tell
load_pending(sys.argv[1], landing_plant(), sys.argv[2])
"""
BATCHES_OF_A_FILE = 2 * ROWS // 500


@pytest.mark.parametrize("after", [1, 7, BATCHES_OF_A_FILE, BATCHES_OF_A_FILE + 3])
def test_killed_in_the_middle_of_a_file(database: str, tmp_path: Path, after: int) -> None:
    for n in range(2):
        lines = [kep((f"AB.Press01.m{n}", i, i), ("X.Y.z", i, 1)) for i in range(ROWS)]
        put(tmp_path, f"telemetry/{n}.ndjson", b"".join(lines))
    command = [sys.executable, "-c", LOADER, database, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as loader:
        assert loader.stdout is not None
        assert loader.stdout.read(after) == b"." * after
        os.kill(loader.pid, signal.SIGKILL)
    assert loader.returncode == -signal.SIGKILL

    _until_rolled_back(database)
    finished = len(books(database))
    assert rows(database, "SELECT count(*) FROM telemetry_sample") == [(finished * ROWS,)]
    assert rows(database, "SELECT count(*) FROM quarantine") == [(finished * ROWS,)]
    marked = {dataset for (dataset,) in rows(database, "SELECT DISTINCT dataset FROM dirty_mark")}
    everything = {"archive/machine_telemetry", *DATASETS["machine_telemetry"].downstream}
    assert marked == (everything if finished else set())

    load_pending(database, landing_plant(), str(tmp_path))
    assert [row[1:] for row in books(database)] == [(2 * ROWS, ROWS, ROWS, 0)] * 2
    assert_accounted(database)


def _until_rolled_back(url: str) -> None:
    """The server notices a dead client only when it next talks to it."""
    with psycopg.connect(url, autocommit=True) as conn:
        for _ in range(600):
            others = conn.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND backend_type = 'client backend'"
            ).fetchone()
            if others == (0,):
                return
            time.sleep(0.1)
