"""What the archive is for: the numbers of a report come out again from what was archived."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from prodlytics_tests.end_to_end.plant_run import PlantRun, plant_run
from prodlytics_tests.servers.databases import migrated_database


@pytest.fixture(scope="module")
def closed(plain_server: str, story: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlantRun]:
    """The story, computed and archived."""
    with migrated_database(plain_server) as url:
        run = plant_run(url, story, tmp_path_factory.mktemp("kept"))
        first, *_, last = run.days[:3]
        steps = [("ingest_entries", None, None), ("ingest", last, None), ("chain", first, last)]
        assert run.run(*steps, ("close_day", run.days[0], run.days[1])).errors == []
        yield run


def _prodlytics(run: PlantRun, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "prodlytics.cli", *arguments],
        env={**os.environ, "PRODLYTICS_DATABASE_URL": run.url, "PRODLYTICS_ARCHIVE_URL": str(run.archive),
             "PRODLYTICS_PLANT": str(run.plant_file)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_same_inputs_same_numbers_and_a_changed_input_is_named(closed: PlantRun) -> None:
    day = closed.days[1]
    done = _prodlytics(closed, "replay", day, day, "--json")
    told = json.loads(done.stdout)
    assert told["same"], {name: one["examples"] for name, one in told["datasets"].items() if one["examples"]}
    assert done.returncode == 0
    assert told["datasets"]["oee_hourly"]["same"] > 100
    assert told["datasets"]["machine_time"]["same"] > 500

    with psycopg.connect(closed.url) as conn:
        (schemas,) = conn.execute("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'replay%'").fetchone() or (1,)
        assert schemas == 0
        # Somebody says after the report what a stop was.
        stop = conn.execute(
            "SELECT machine_id, time_start, time_end, coalesce(reason_code, '') FROM downtime_events"
            " WHERE production_date = %s AND bucket = 'failure' AND stop_started_at = time_start"
            " AND stop_ended_at = time_end AND reason_code IS NOT NULL ORDER BY time_end - time_start DESC LIMIT 1",
            (day,),
        ).fetchone()
        assert stop is not None
        conn.execute(
            "INSERT INTO operator_entries (source_key, machine_id, kind, starts_at, ends_at, reason_code, entered_by,"
            " entered_at, source) SELECT 'late', %s, 'reason', %s, %s, min(reason_code), 'Ann', now(), 'operator'"
            " FROM downtime_events WHERE reason_code <> %s",
            stop,
        )
    done = _prodlytics(closed, "replay", day, day)
    assert done.returncode == 1
    assert f"{day} to {day}: differences." in done.stdout
    assert f"{stop[0]}" in done.stdout
    assert "reason_code" in done.stdout


def test_a_day_that_is_not_archived_cannot_be_replayed(closed: PlantRun) -> None:
    day = closed.days[-1]
    done = _prodlytics(closed, "replay", day, day)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"machine_telemetry of {day} is not archived" in done.stderr
    assert "Traceback" not in done.stderr


def test_restore_by_command(closed: PlantRun) -> None:
    day = closed.days[1]
    with psycopg.connect(closed.url) as conn:
        before = conn.execute("SELECT * FROM losses WHERE production_date = %s ORDER BY 1, 2, 3, 4, 5, 6", (day,))
        rows = before.fetchall()
        conn.execute("DELETE FROM losses WHERE production_date = %s", (day,))
    done = _prodlytics(closed, "restore", "losses", day, day)
    assert done.returncode == 0, done.stderr
    assert f"{len(rows)} rows added" in done.stdout
    with psycopg.connect(closed.url) as conn:
        after = conn.execute("SELECT * FROM losses WHERE production_date = %s ORDER BY 1, 2, 3, 4, 5, 6", (day,))
        assert after.fetchall() == rows
    assert _prodlytics(closed, "restore", "nonsense", day, day).returncode == 2
    dry = _prodlytics(closed, "retention", "--json")
    assert json.loads(dry.stdout)["needs_restore"] == []
