"""The plant file changes for days that were computed long ago: they are restated and say why, no others are touched."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest

from prodlytics.assets.declare import asset_key
from prodlytics.automation.schedules import dirty_days
from prodlytics.datasets.registry import DERIVED
from prodlytics.ops.explain import explain_from
from prodlytics.plant.model import Plant
from prodlytics.report.explain_text import as_text
from prodlytics.sources.connectors import sync
from prodlytics_tests.end_to_end.plant_run import PlantRun, assert_same, plant_run
from prodlytics_tests.servers.databases import migrated_database
from prodlytics_tests.sources.said_there import SaidThere

CLOSED_DAY, CYCLE_SINCE = "2026-10-30", "2026-10-31"
TOWN_HALL = "plant file: planned stop 2026-10-30 09:00: nothing -> until 2026-10-30 10:00, Town hall"
NEW_CYCLE = "plant file: ideal_cycle_time_ms of BR-1001 on Press02: 12000 -> 11000"


def changed(plant: Plant, change: Callable[[dict[str, Any]], None]) -> Plant:
    """The plant as if its file had been written otherwise."""
    settings: dict[str, Any] = plant.model_dump(mode="json")
    change(settings)
    return Plant.model_validate(settings)


def new_dates(settings: dict[str, Any]) -> None:
    """A planned stop on one past day, another ideal cycle since a past day."""
    settings["exceptions"].append(
        {"kind": "planned_stop", "start": f"{CLOSED_DAY}T09:00", "end": f"{CLOSED_DAY}T10:00", "reason": "Town hall"}
    )
    (bracket,) = (part for part in settings["parts"] if part["number"] == "BR-1001")
    bracket["ideal_cycle_time_ms"]["Press02"] = [
        {"since": "1970-01-01", "value": 12000}, {"since": CYCLE_SINCE, "value": 11000},
    ]  # fmt: skip


def new_loss(settings: dict[str, Any]) -> None:
    """What was a failure is another stop."""
    failures = [category for category in settings["reasons"] if category["loss"] == "failure"]
    failures[0]["loss"] = "other_stop"


def without_a_press(settings: dict[str, Any]) -> None:
    """A machine is taken out of the file."""
    settings["machines"] = [machine for machine in settings["machines"] if machine["id"] != "Press04"]
    for part in settings["parts"]:
        part["ideal_cycle_time_ms"].pop("Press04", None)


def left_to_the_erp(settings: dict[str, Any]) -> None:
    """The file says nothing of one part on one machine."""
    (bracket,) = (part for part in settings["parts"] if part["number"] == "BR-1001")
    del bracket["ideal_cycle_time_ms"]["Press02"]


def bring(run: PlantRun, said: list[dict[str, Any]]) -> None:
    """What the ERP says of ideal cycles, as its connection brings it."""
    with psycopg.connect(run.url, autocommit=True) as conn:
        sync(conn, run.plant, SaidThere("standards", "ideal_cycles", said), dt.datetime.now(dt.UTC))


def rows(run: PlantRun, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(run.url) as conn:
        return conn.execute(query).fetchall()  # type: ignore[arg-type]


def waiting(run: PlantRun) -> list[str]:
    # Orders that began before the story leave marks on days without telemetry; those are not asked for here.
    return sorted(day for day in dirty_days(run.plant, run.database, DERIVED) if day >= run.days[0])


def heal(run: PlantRun) -> None:
    for _ in range(5):
        if days := waiting(run):
            outcome = run.run(*(("chain", day, None) for day in days))
            assert outcome.errors == []
    assert waiting(run) == []


@pytest.fixture(scope="module")
def run(plain_server: str, story: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlantRun]:
    """Computed with the demo plant; each test goes on from the one before."""
    with migrated_database(plain_server) as url:
        run = plant_run(url, story, tmp_path_factory.mktemp("changes"))
        assert run.load_and_derive().errors == []
        heal(run)
        yield run


def assert_as_from_the_beginning(run: PlantRun, story: Path, plain_server: str, folder: Path) -> None:
    with migrated_database(plain_server) as url:
        whole = dataclasses.replace(plant_run(url, story, folder), plant=run.plant)
        assert whole.load_and_derive().errors == []
        heal(whole)
        assert_same(run.tables(), whole.tables())


def test_the_past_is_restated_and_says_why(run: PlantRun, story: Path, plain_server: str, tmp_path: Path) -> None:
    untouched = "SELECT production_date::text, machine_id, time_bucket, xmin::text FROM oee_hourly"
    before = set(rows(run, untouched))
    now = dataclasses.replace(run, plant=changed(run.plant, new_dates))

    # The chain of the running day is the first to have the new file.
    with dg.DagsterInstance.ephemeral() as instance:
        runner = now.runner(instance)
        assert runner.run("chain", first=now.days[-1])
        event = instance.get_latest_materialization_event(asset_key(now.plant, "machine_config"))
        assert event is not None
        assert event.asset_materialization is not None
        told = str(event.asset_materialization.metadata["settings_changes"].value)
    assert (
        "| parts BR-1001 ideal_cycle_time_ms Press02 since 2026-10-31 |  | 11000 | 2026-10-30 to 2026-11-03 |" in told
    )
    assert waiting(now) == [CLOSED_DAY, CYCLE_SINCE, "2026-11-01", "2026-11-02"]
    heal(now)

    touched = {row[:2] for row in before - set(rows(now, untouched))}
    assert {machine for day, machine in touched if day > CLOSED_DAY} == {"Press02"}
    assert min(day for day, _ in touched) == CLOSED_DAY
    causes = set(
        rows(now, "SELECT DISTINCT production_date::text, machine_id, cause FROM restatements WHERE level = 'machine'")
    )
    assert {(day, cause) for day, machine, cause in causes if machine != "Press02"} == {(CLOSED_DAY, TOWN_HALL)}
    assert {cause for day, machine, cause in causes if machine == "Press02" and day > CLOSED_DAY} == {NEW_CYCLE}
    assert_as_from_the_beginning(now, story, plain_server, tmp_path / "whole")


def test_the_report_of_a_restated_day_says_why(run: PlantRun) -> None:
    now = dataclasses.replace(run, plant=changed(run.plant, new_dates))
    assert now.run(("close_day", CLOSED_DAY, None)).errors == []
    ((text,),) = rows(now, "SELECT plain_text FROM daily_report")
    assert f"Cause: {TOWN_HALL}" in " ".join(text.split())


def test_another_loss_class_of_a_reason_restates_every_day_that_has_it(
    run: PlantRun, story: Path, plain_server: str, tmp_path: Path
) -> None:
    now = dataclasses.replace(run, plant=changed(changed(run.plant, new_dates), new_loss))
    # A range of its own sees the marks of its own range: one run, as `prodlytics backfill` does it.
    assert now.run(("chain", now.days[0], now.days[-1])).errors == []
    heal(now)
    days = rows(now, "SELECT count(DISTINCT production_date) FROM restatements WHERE cause LIKE '%, loss other_stop%'")
    assert days[0][0] > 2
    assert_as_from_the_beginning(now, story, plain_server, tmp_path / "whole")


def test_what_an_erp_says_of_an_ideal_cycle_counts_as_if_it_stood_in_the_file(run: PlantRun) -> None:
    now = dataclasses.replace(run, plant=changed(changed(changed(run.plant, new_dates), new_loss), left_to_the_erp))
    hours = "SELECT production_date::text, machine_id, time_bucket, xmin::text FROM oee_hourly"
    before = set(rows(now, hours))
    said = [{"part_number": "BR-1001", "machine_id": "Press02", "since": since, "ideal_cycle_time_ms": cycle}
            for since, cycle in (("1970-01-01", "12000"), (CYCLE_SINCE, "11000"))]  # fmt: skip
    bring(now, said)
    assert now.run(("chain", now.days[-1], None)).errors == []
    heal(now)
    assert set(rows(now, hours)) == before

    said[1]["ideal_cycle_time_ms"] = "10000"
    bring(now, said)
    assert now.run(("chain", now.days[-1], None)).errors == []
    assert min(waiting(now)) == CYCLE_SINCE
    heal(now)
    touched = {row[:2] for row in before - set(rows(now, hours))}
    made = rows(
        now, "SELECT DISTINCT production_date::text, machine_id FROM losses"
        f" WHERE machine_id = 'Press02' AND part_number = 'BR-1001' AND production_date >= '{CYCLE_SINCE}'",
    )  # fmt: skip
    assert made
    assert touched == set(made)
    assert rows(now, "SELECT DISTINCT cause FROM restatements WHERE level = 'machine' AND cause LIKE 'erp%'") == [
        ("erp: ideal_cycle_time_ms of BR-1001 on Press02: 11000 -> 10000",)
    ]
    (hour,) = rows(
        now, "SELECT to_char(time AT TIME ZONE 'America/Chicago', 'YYYY-MM-DD\"T\"HH24') FROM production_events"
        f" WHERE machine_id = 'Press02' AND part_number = 'BR-1001' AND time > '{CYCLE_SINCE} 12:00+00'"
        " AND event_type = 'cycle_complete' ORDER BY time LIMIT 1",
    )  # fmt: skip
    with psycopg.connect(now.url) as conn:
        (explained,) = explain_from(conn, now.plant, "Press02", hour[0])
    assert f"BR-1001 on Press02 since {CYCLE_SINCE} as erp says" in as_text(explained, width=200)


def test_a_machine_that_left_the_file_keeps_its_hours(run: PlantRun) -> None:
    of_machine = "SELECT *, xmin::text FROM {} WHERE machine_id = 'Press04' ORDER BY 1, 2, 3, 4"
    tables = ("plan_calendar", "machine_states", "machine_time", "oee_hourly", "oee_shift", "losses")
    before = [rows(run, of_machine.format(table)) for table in tables]
    now = dataclasses.replace(run, plant=changed(changed(changed(run.plant, new_dates), new_loss), without_a_press))
    outcome = now.run(("chain", now.days[0], now.days[-1]))
    assert outcome.errors == []
    assert [rows(now, of_machine.format(table)) for table in tables] == before
    failed = {check.name: check.says for check in outcome.failed_checks}
    assert "Press04" in failed["no_machine_is_gone"]
    assert not {"shifts_are_their_hours", "days_are_their_hours", "losses_balance"} & set(failed)
