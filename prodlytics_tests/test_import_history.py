"""`prodlytics import-history` as an engineer meets it on the day of installation."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from prodlytics_tests.sources.landing_place import rows
from prodlytics_tests.sources.test_history import day, workbook
from prodlytics_tests.test_cli import databases, one_sentence, prodlytics

HEAD = ["Date", "Machine", "Start", "Minutes", "Reason", "Comments"]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return workbook(
        tmp_path / "log.xlsx", ["Downtime"], HEAD,
        [day(2026, 11, 2), "Press01", "6:15", 30, "Bearing", None],
        [day(2026, 11, 2), "Press O2", "7:15", 30, "Bearing", None],
        [day(2026, 11, 2), "Press01", "8:15", 30, "Tool brake", "=HYPERLINK(1)"],
        [day(2026, 11, 2), "Press01", "soon", 30, "Bearing", "@cmd"],
    )  # fmt: skip


def entries(url: str) -> int:
    return int(rows(url, "SELECT count(*) FROM operator_entries")[0][0])


def test_without_anybody_to_ask_nothing_is_taken_for_agreed(plain_database: str, tmp_path: Path, log: Path) -> None:
    done = prodlytics("import-history", str(log), home=tmp_path, **databases(plain_database))
    assert done.returncode == 2
    assert one_sentence(done) == "Nobody can be asked whether this is right: write --yes, --dry-run or --mapping."
    assert "machine        = Machine" in done.stdout
    dry = prodlytics("import-history", str(log), "--dry-run", home=tmp_path, **databases(plain_database))
    assert dry.returncode == 0
    assert "Nothing was kept: this was a dry run." in dry.stdout
    assert entries(plain_database) == 0


def test_a_mapping_is_saved_and_serves_the_next_file(plain_database: str, tmp_path: Path, log: Path) -> None:
    mapping, rejected = tmp_path / "stops.yaml", tmp_path / "rejected.csv"
    first = prodlytics(
        "import-history", str(log), "--yes", "--save-mapping", str(mapping), "--rejected", str(rejected),
        home=tmp_path, **databases(plain_database),
    )  # fmt: skip
    assert first.returncode == 0, first.stderr
    assert "4 rows (0 totals left out) are 4 records: 1 stored, 0 known already, 3 rejected." in first.stdout
    refused = list(csv.reader(io.StringIO(rejected.read_text(encoding="utf-8-sig"))))
    assert [line[:2] for line in refused[1:]] == [
        ["4", "unknown_machine"], ["5", "unknown_reason_code"], ["6", "bad_time"],
    ]  # fmt: skip
    # What somebody typed is no formula where the file is opened.
    assert not any(cell.startswith(("=", "+", "-", "@")) for line in refused for cell in line)

    mapping.write_text(
        mapping.read_text(encoding="utf-8") + "machines: {Press O2: Press02}\nreasons: {Tool brake: TOOL_BREAK}\n",
        encoding="utf-8",
    )
    again = prodlytics(
        "import-history", str(log), "--mapping", str(mapping), "--json", home=tmp_path, **databases(plain_database)
    )
    assert json.loads(again.stdout) == {
        "rows": 4, "totals_left_out": 0, "records": 4, "stored": 2, "known_already": 2, "rejected": 1,
        "reasons": {"bad_time": 1}, "dry_run": False,
    }  # fmt: skip


def test_a_person_is_asked_for_what_only_a_person_knows(plain_database: str, tmp_path: Path, log: Path) -> None:
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "prodlytics.cli", "import-history", str(log)],
        env={**keep, "PRODLYTICS_HOME": str(tmp_path), **databases(plain_database)},
        stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        # The machine: what is likely, by Enter. The reason: nonsense first, then a code. Then: import it.
        os.write(ours, b"\nnonsense\nTOOL_BREAK\nyes\n")
        said, complained = running.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert running.returncode == 0, complained
    assert "Which machine is 'Press O2'?" in said
    assert "[Press02]" in said
    assert "3 stored, 0 known already, 1 rejected" in said
    assert rows(plain_database, "SELECT machine_id, reason_code FROM operator_entries ORDER BY starts_at") == [
        ("Press01", "MECH_BEARING"), ("Press02", "MECH_BEARING"), ("Press01", "TOOL_BREAK"),
    ]  # fmt: skip


def test_an_import_that_is_killed_is_begun_anew_and_ends_the_same(plain_database: str, tmp_path: Path) -> None:
    lines = [[day(2026, 11, 2 + n % 20), "Press01", f"{n // 60 % 24}:{n % 60:02}", 1, "Bearing", f"{n}"]
             for n in range(3000)]  # fmt: skip
    file = workbook(tmp_path / "long.xlsx", HEAD, *lines)
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    command = [sys.executable, "-m", "prodlytics.cli", "import-history", str(file), "--yes"]
    environment = {**keep, "PRODLYTICS_HOME": str(tmp_path), **databases(plain_database)}
    with psycopg.connect(plain_database) as held:
        # The import waits for this lock with everything before it done; then it is killed.
        held.execute("LOCK TABLE dirty_mark IN ACCESS EXCLUSIVE MODE")
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as running:
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'dirty_mark'::regclass"
            until = time.monotonic() + 60
            while rows(plain_database, waiting) == [(0,)]:
                assert time.monotonic() < until
                time.sleep(0.05)
            running.send_signal(signal.SIGKILL)
    assert entries(plain_database) == 0
    done = prodlytics("import-history", str(file), "--yes", home=tmp_path, **databases(plain_database))
    assert done.returncode == 0, done.stderr
    assert entries(plain_database) == 3000


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere.xlsx"], "cannot be read: No such file or directory."),
        (["{log}", "--what", "gossip"], "--what gossip is none of stops,"),
        (["{log}", "--what", "part_costs"], "no column says part_number, material_cost:"),
        (["{log}", "--sheet", "Scrap"], "looks like column names"),
        (["{log}", "--mapping", "nowhere.yaml"], "cannot be read"),
        (["{log}", "--mapping", "{bad}"], "is wrong at what:"),
    ],
)
def test_what_was_asked_wrongly_is_one_sentence(
    plain_database: str, tmp_path: Path, log: Path, arguments: list[str], says: str
) -> None:
    (tmp_path / "bad.yaml").write_text("what: gossip\nheader_row: 1\ncolumns: {}\n", encoding="utf-8")
    told = [one.format(log=log, bad=tmp_path / "bad.yaml") for one in arguments]
    done = prodlytics("import-history", *told, home=tmp_path, **databases(plain_database))
    assert done.returncode == 2
    assert says in one_sentence(done)
