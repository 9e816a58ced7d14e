"""The command line as a person meets it: exit codes, and one sentence when something is wrong."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from prodlytics.db.connect import connect
from prodlytics.db.plant_settings import notice
from prodlytics.plant.load import load_plant

DEMO = Path(__file__).parent.parent / "deploy" / "plants" / "demo.yaml"


def prodlytics(*arguments: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in an environment of its own."""
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "prodlytics.cli", *arguments],
        env={**keep, "PRODLYTICS_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def databases(url: str) -> dict[str, str]:
    """The product's and Dagster's database: in tests the same one."""
    return {
        "PRODLYTICS_DATABASE_URL": url,
        "PRODLYTICS_DAGSTER_URL": url.replace("postgresql://", "postgresql+psycopg2://", 1),
    }


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    """What was said, after making sure that it is for people."""
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_migrate_says_what_it_did_and_twice_is_harmless(plain_database: str, tmp_path: Path) -> None:
    first = prodlytics("migrate", "--json", home=tmp_path, PRODLYTICS_DATABASE_URL=plain_database)
    second = prodlytics("migrate", "--json", home=tmp_path, PRODLYTICS_DATABASE_URL=plain_database)
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert json.loads(second.stdout)["applied"] == []


def test_url_prints_the_configured_database(plain_database: str, tmp_path: Path) -> None:
    done = prodlytics("url", home=tmp_path, PRODLYTICS_DATABASE_URL=plain_database)
    assert (done.returncode, done.stdout.strip()) == (0, plain_database)


def test_missing_database_is_one_sentence_without_the_password(tmp_path: Path) -> None:
    url = "postgresql://somebody:very-secret@127.0.0.1:1/production"
    done = prodlytics("migrate", home=tmp_path, PRODLYTICS_DATABASE_URL=url)
    assert done.returncode == 1
    said = one_sentence(done)
    assert "127.0.0.1:1/production" in said
    assert "very-secret" not in said


def test_wrong_plant_file_names_line_and_remedy(tmp_path: Path) -> None:
    plant = tmp_path / "plant.yaml"
    plant.write_text(DEMO.read_text().replace("timezone: America/Chicago", "timezone: America/Chikago"))
    line = next(n for n, text in enumerate(plant.read_text().splitlines(), 1) if "Chikago" in text)
    done = prodlytics("up", home=tmp_path, PRODLYTICS_PLANT=str(plant))
    assert done.returncode == 2
    assert f"line {line}" in one_sentence(done)


@pytest.mark.parametrize("command", [("backfill", "2026-11-20"), ("up", "--port", "0")])
def test_another_day_boundary_is_refused_before_anything_is_computed(
    plain_database: str, tmp_path: Path, command: tuple[str, ...]
) -> None:
    with connect(plain_database) as conn:
        notice(conn, load_plant(DEMO))
    plant = tmp_path / "plant.yaml"
    plant.write_text(DEMO.read_text().replace('day_boundary: "06:00"', 'day_boundary: "05:00"'))
    done = prodlytics(*command, home=tmp_path, PRODLYTICS_PLANT=str(plant), **databases(plain_database))
    assert done.returncode == 2
    said = one_sentence(done)
    assert "day_boundary is '05:00' in the plant file" in said
    assert "Write day_boundary: '06:00' again" in said
    with connect(plain_database) as conn:
        assert conn.execute("SELECT to_regclass('runs'), count(*) FROM plan_calendar").fetchone() == (None, 0)


def test_missing_plant_file_is_one_sentence(tmp_path: Path) -> None:
    done = prodlytics("backfill", "2026-11-20", home=tmp_path, PRODLYTICS_PLANT=str(tmp_path / "none.yaml"))
    assert done.returncode == 2
    assert "none.yaml" in one_sentence(done)


@pytest.mark.parametrize("days", [["20.11.2026"], ["2026-11-20", "2026-11-19"], ["2026-02-30"]])
def test_wrong_days_are_refused(days: list[str], tmp_path: Path) -> None:
    done = prodlytics("backfill", *days, home=tmp_path)
    assert done.returncode == 2
    one_sentence(done)


def test_dagster_needs_a_database_of_its_own(plain_database: str, tmp_path: Path) -> None:
    done = prodlytics("env", home=tmp_path, PRODLYTICS_DATABASE_URL=plain_database)
    assert done.returncode == 2
    assert "PRODLYTICS_DAGSTER_URL" in one_sentence(done)


def test_demo_refuses_a_home_that_holds_other_data(tmp_path: Path) -> None:
    (tmp_path / "database.port").write_text("5432")
    done = prodlytics("demo", home=tmp_path)
    assert done.returncode == 2
    assert "not a demo's" in one_sentence(done)


def test_a_day_the_plant_does_not_have_is_one_sentence(plain_database: str, tmp_path: Path) -> None:
    done = prodlytics("backfill", "2025-01-01", home=tmp_path, **databases(plain_database))
    assert done.returncode == 2
    assert "2026-01-01" in one_sentence(done)


def test_a_busy_port_is_refused(plain_database: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = prodlytics("up", "--port", port, home=tmp_path, **databases(plain_database))
    assert done.returncode == 2
    assert port in one_sentence(done)


def test_backfill_says_which_files_and_rows_were_not_used(plain_database: str, tmp_path: Path) -> None:
    """A corrupt file and a machine nobody configured: each a line, and the good row of the same file is in."""
    landing = tmp_path / "landing" / "telemetry"
    landing.mkdir(parents=True)
    (landing / "broken.parquet").write_bytes(b"PAR1 this is no parquet")
    ids = ("AB_Line1.Press01.Temperature_C", "AB_Line1.Nobody.Temperature_C")
    values = [{"id": name, "v": 20.5, "q": True, "t": 1780000000000} for name in ids]
    (landing / "a.ndjson").write_text(json.dumps({"timestamp": 1780000000100, "values": values}))
    done = prodlytics("backfill", "2026-05-28", home=tmp_path, **databases(plain_database))
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    said = done.stdout.splitlines()
    assert [line for line in said if "UNREADABLE" in line and "broken.parquet" in line]
    assert [line for line in said if "QUARANTINED" in line and "AB_Line1.Nobody" in line]
    with psycopg.connect(plain_database) as conn:
        assert conn.execute("SELECT machine_id, value FROM machine_telemetry").fetchall() == [("Press01", 20.5)]
    written = prodlytics("report", "2026-05-28", home=tmp_path, **databases(plain_database))
    assert "<html" in Path(written.stdout.strip()).read_text().lower()


def test_a_report_that_does_not_exist_is_one_sentence(plain_database: str, tmp_path: Path) -> None:
    done = prodlytics("report", "2026-05-28", home=tmp_path, **databases(plain_database))
    assert done.returncode == 1
    assert "prodlytics backfill 2026-05-28" in one_sentence(done)
