"""What people say about stops and scrap, from landed files to the tables: corrected, taken back, never lost."""

from __future__ import annotations

import csv
import datetime as dt
from copy import deepcopy
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest

from prodlytics.automation.schedules import dirty_days
from prodlytics.datasets.registry import DERIVED
from prodlytics.plant.model import Plant
from prodlytics_tests.end_to_end.plant_run import PlantRun, assert_same
from prodlytics_tests.kpi.floor import SETTINGS
from prodlytics_tests.servers.databases import migrated_database

#: 06:00 in Chicago on a Monday, the boundary of the production day.
SIX = dt.datetime(2026, 3, 2, 12, 0, tzinfo=dt.UTC)
DAYS = ["2026-03-02", "2026-03-03"]
FIELDS = ("source_key", "kind", "starts_at", "ends_at", "reason_code", "quantity", "scrap_reason", "why", "undoes",
          "entered_by", "entered_at", "source")  # fmt: skip
LANDING = [
    {"name": "tags", "match": "telemetry/*.csv", "layout": "long",
     "columns": {"time": "time", "metric": "metric", "value": "value"}, "constants": {"machine": "M1"}},
    {"name": "people", "match": "operator_entries/*.csv", "dataset": "operator_entries", "layout": "long",
     "columns": {name: name for name in FIELDS}, "constants": {"machine_id": "M1"}},
]  # fmt: skip
HOUR = 60


def _plant() -> Plant:
    settings: dict[str, Any] = deepcopy(SETTINGS) | {"landing": LANDING}
    settings["machines"][0] |= {"state": {"metric": "State", "map": {"1": "running", "2": "idle"}}}
    settings["machines"][0] |= {"silence_after_s": 7200}
    return Plant.model_validate(settings)


def at(minutes: float) -> dt.datetime:
    """That many minutes after six on Monday."""
    return SIX + dt.timedelta(minutes=minutes)


def _land(run: PlantRun, folder: str, name: str, rows: list[dict[str, Any]]) -> None:
    path = run.landing / folder / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS if folder == "operator_entries" else ("time", "metric", "value"))
        writer.writeheader()
        writer.writerows(
            {k: v.isoformat() if isinstance(v, dt.datetime) else v for k, v in row.items()} for row in rows
        )


def tags(run: PlantRun, name: str, *samples: tuple[float, str, float]) -> None:
    """Land samples: minutes after six, metric, value."""
    _land(run, "telemetry", name, [{"time": at(m), "metric": metric, "value": value} for m, metric, value in samples])


def say(run: PlantRun, *entries: dict[str, Any]) -> None:
    """Land entries, each in a file of its own."""
    for one in entries:
        _land(run, "operator_entries", one["source_key"], [one])


def entry(key: str, kind: str, start: float, end: float | None = None, **more: Any) -> dict[str, Any]:
    common = {"entered_by": "B42", "entered_at": at(3000), "source": ""}
    times = {"starts_at": at(start), "ends_at": None if end is None else at(end)}
    return {"source_key": key, "kind": kind, **times, **common, **more}


def heal(run: PlantRun) -> None:
    """Load what has landed and derive every day that has marks, newest first, until there is none."""
    run.run(("ingest_entries", None, None), ("ingest", DAYS[0], None))
    for _ in range(5):
        dirty = sorted(dirty_days(run.plant, run.database, DERIVED), reverse=True)
        outcome = run.run(*(("chain", day, None) for day in dirty))
        assert outcome.errors == []
        if not dirty:
            return
    raise AssertionError(f"{dirty} are never done")


def rows(run: PlantRun, query: LiteralString) -> list[tuple[Any, ...]]:
    with psycopg.connect(run.url) as conn:
        conn.execute("SET timezone = 'UTC'")
        return conn.execute(query).fetchall()


def parts(run: PlantRun) -> list[tuple[float, float, str | None, str | None]]:
    """Minutes from, to, reason and who said so of each part of the stop of Monday morning."""
    found = rows(
        run,
        "SELECT time_start, time_end, reason_code, reason_source FROM downtime_events"
        " WHERE production_date = '2026-03-02' AND time_start < '2026-03-02 20:00+00' ORDER BY 1",
    )
    return [((a - SIX).total_seconds() / 60, (b - SIX).total_seconds() / 60, *more) for a, b, *more in found]


def floor_samples() -> list[tuple[float, str, float]]:
    """Running but for 10:00 to 10:40 on Monday and 05:30 to 06:30 the morning after; rejects around that boundary."""
    changes = {0: 1, 240: 2, 280: 1, 1410: 2, 1470: 1}
    rejects = {1400: 2, 1430: 2, 1450: 3}
    state, rejected, samples = 1, 0, []
    for minute in range(0, 2880, 10):
        state, rejected = changes.get(minute, state), rejected + rejects.get(minute, 0)
        samples += [(minute, "State", state), (minute, "Reject", rejected), (minute, "Good", minute // 2)]
    return samples


@pytest.fixture
def run(plain_database: str, tmp_path: Path) -> PlantRun:
    return PlantRun(_plant(), plain_database, tmp_path / "landing", tmp_path / "archive", tmp_path / "plant.yaml")


def assert_the_same_from_scratch(run: PlantRun, server: str, folder: Path) -> None:
    """All that has landed, loaded in another order into an empty database and derived at once."""
    with migrated_database(server) as url:
        other = PlantRun(run.plant, url, folder, run.archive, run.plant_file)
        for file in sorted(run.landing.rglob("*.csv"), reverse=True):
            target = folder / file.parent.name / f"{1000 - len(list(folder.rglob('*')))}.csv"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
            other.run(("ingest_entries", None, None), ("ingest", DAYS[0], None))
        assert other.run(("chain", DAYS[0], DAYS[-1])).errors == []
        assert_same(run.tables(), other.tables())


def test_a_reason_split_merged_undone_and_back_again(run: PlantRun, plain_server: str, tmp_path: Path) -> None:
    tags(run, "a", *floor_samples())
    heal(run)
    assert parts(run) == [(240, 280, None, None)]

    say(run, entry("imported", "reason", 240, 280, reason_code="MATL_A", source="machinemetrics", entered_at=at(9000)))
    heal(run)
    assert parts(run) == [(240, 280, "MATL_A", "machinemetrics")]
    say(run, entry("reason", "reason", 240, reason_code="MECH_A"))
    heal(run)
    assert parts(run) == [(240, 280, "MECH_A", "operator")]

    say(run, entry("split", "split", 260), entry("second", "reason", 260, reason_code="SETUP_A"))
    heal(run)
    two_parts = [(240, 260, "MECH_A", "operator"), (260, 280, "SETUP_A", "operator")]
    assert parts(run) == two_parts

    say(run, entry("merge", "merge", 240, 280, reason_code="PM_A", source="supervisor", entered_at=at(4000)))
    heal(run)
    assert parts(run) == [(240, 280, "PM_A", "supervisor")]
    say(run, entry("undo", "undo", 0, undoes="merge", why="two causes indeed", entered_by="B7", entered_at=at(4100)))
    heal(run)
    assert parts(run) == two_parts
    say(run, entry("undo the undo", "undo", 0, undoes="undo", entered_at=at(4200)))
    heal(run)
    assert parts(run) == [(240, 280, "PM_A", "supervisor")]
    say(run, entry("enough", "undo", 0, undoes="undo the undo", entered_at=at(4300)))
    heal(run)
    assert parts(run) == two_parts
    assert_the_same_from_scratch(run, plain_server, tmp_path / "again")

    # It stopped nine minutes earlier, says a sample that comes late: what people said stays where they said it.
    tags(run, "late", (231, "State", 2))
    heal(run)
    assert parts(run) == [(231, 240, None, None), *two_parts]
    assert_the_same_from_scratch(run, plain_server, tmp_path / "and again")

    history = rows(
        run,
        "SELECT source_key, entered_by, old_reason_code, reason_code, why, state, undone_by, undone_at, undone_why,"
        " undone_by_entry, overruled_by_entries FROM operator_entry_history",
    )
    told = {row[0]: row[1:] for row in history}
    assert [row[0] for row in history] == [
        "reason", "second", "split", "merge", "undo", "undo the undo", "enough", "imported"
    ]  # fmt: skip
    nobody = (None, None, None, None)
    assert told == {
        "imported": ("B42", None, "MATL_A", None, "overruled", *nobody, "reason, second"),
        "reason": ("B42", "MATL_A", "MECH_A", None, "in force", *nobody, None),
        "split": ("B42", "MECH_A", None, None, "in force", *nobody, None),
        "second": ("B42", "MECH_A", "SETUP_A", None, "in force", *nobody, None),
        "merge": ("B42", "MECH_A", "PM_A", None, "undone", "B7", at(4100), "two causes indeed", "undo", None),
        "undo": ("B7", "PM_A", None, "two causes indeed", "in force", *nobody, None),
        "undo the undo": ("B42", None, None, None, "undone", "B42", at(4300), None, "enough", None),
        "enough": ("B42", None, None, None, "in force", *nobody, None),
    }


def test_what_lost_its_stop_is_kept_and_named(run: PlantRun) -> None:
    """People wrote down stops of half an hour ago; samples that arrive later say that the machine ran."""
    samples = floor_samples()
    without = [one for one in samples if one[1] != "State" or not 100 <= one[0] <= 140]
    tags(run, "a", *without, (100, "State", 2), (150, "State", 1))
    say(
        run,
        entry("early", "reason", 100, reason_code="MATL_A"),
        entry("whole", "reason", 100, 150, reason_code="MECH_A"),
    )
    heal(run)
    assert parts(run)[0] == (100, 150, "MECH_A", "operator")
    tags(run, "b", (100.1, "State", 1))
    heal(run)
    assert parts(run)[0][:2] == (100, 100.1)
    say(run, entry("cut", "split", 120), entry("void", "merge", 110, 140), entry("gone", "undo", 0, undoes="void"))
    run.run(("ingest_entries", None, None))
    outcome = run.run(("chain", DAYS[0], None))
    (found,) = [check for check in outcome.checks if check.name == "entries_have_their_stop"]
    assert not found.passed
    assert found.says.startswith("1 entries about stops overlap no stop: cut (split  by B42) of M1 at 2026-03-02 14:00")
    states = dict(rows(run, "SELECT source_key, state FROM operator_entry_history"))
    assert states == {
        "early": "overruled", "whole": "in force", "cut": "without a stop", "void": "undone", "gone": "in force"
    }  # fmt: skip


def scrap(run: PlantRun) -> list[tuple[float, float, str | None]]:
    """Minute, parts and reason of each row of scrap."""
    found = rows(run, "SELECT time, quantity::float, scrap_reason FROM scrap_events ORDER BY time, event_key")
    return [((time - SIX).total_seconds() / 60, *more) for time, *more in found]


def test_scrap_entered_over_the_boundary_of_the_day_is_used_up_once(
    run: PlantRun, plain_server: str, tmp_path: Path
) -> None:
    """Two rejects at 05:50 and three at 06:10; four of them were burrs. By day, in either order, and at once."""
    tags(run, "a", *floor_samples())
    heal(run)
    say(run, entry("burrs", "scrap", 1425, 1460, quantity=4, scrap_reason="burr"))
    run.run(("ingest_entries", None, None))
    expected = [(1400, 2, None), (1430, 2, "burr"), (1450, 2, "burr"), (1450, 1, None)]
    for day in (DAYS[1], DAYS[0], DAYS[1]):
        assert run.run(("chain", day, None)).errors == []
        assert scrap(run) == expected
    # Another entry shares rejects with the first, and takes its part of those of the day before.
    say(run, entry("dents", "scrap", 1395, 1435, quantity=3, scrap_reason="dent"))
    heal(run)
    expected = [(1400, 2, "dent"), (1430, 1, "dent"), (1430, 1, "burr"), (1450, 3, "burr")]
    assert scrap(run) == expected
    assert_the_same_from_scratch(run, plain_server, tmp_path / "at once")
    say(run, entry("no", "undo", 0, undoes="dents"))
    heal(run)
    assert scrap(run)[:2] == [(1400, 2, None), (1430, 2, "burr")]
