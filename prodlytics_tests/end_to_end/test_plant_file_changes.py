"""The plant file changes for days that were computed long ago: they are restated and say why, no others are touched."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import psycopg
import pytest

from prodlytics.automation.schedules import dirty_days
from prodlytics.datasets.registry import DERIVED
from prodlytics.plant.model import Plant
from prodlytics_tests.end_to_end.plant_run import PlantRun, assert_same, plant_run
from prodlytics_tests.servers.databases import migrated_database

pytestmark = pytest.mark.xdist_group("end_to_end")

CLOSED_DAY, CYCLE_SINCE = "2026-10-30", "2026-10-31"


def changed(plant: Plant) -> Plant:
    """Another lunch on one past day, another ideal cycle since a past day."""
    settings: dict[str, Any] = plant.model_dump(mode="json")
    settings["exceptions"].append(
        {"kind": "planned_stop", "start": f"{CLOSED_DAY}T09:00", "end": f"{CLOSED_DAY}T10:00", "reason": "Town hall"}
    )
    (bracket,) = (part for part in settings["parts"] if part["number"] == "BR-1001")
    bracket["ideal_cycle_time_ms"]["Press02"] = [
        {"since": "1970-01-01", "value": 12000}, {"since": CYCLE_SINCE, "value": 11000},
    ]  # fmt: skip
    return Plant.model_validate(settings)


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as conn:
        return conn.execute(query).fetchall()  # type: ignore[arg-type]


def waiting(run: PlantRun) -> list[str]:
    # Orders that began before the story leave marks on days without telemetry; those are not asked for here.
    return sorted(day for day in dirty_days(run.plant, run.database, DERIVED) if day >= run.days[0])


def heal(run: PlantRun) -> None:
    for _ in range(4):
        outcome = run.run(*(("chain", day, None) for day in waiting(run)))
        assert outcome.errors == []
    assert waiting(run) == []


def test_the_past_is_restated_and_says_why(plain_server: str, story: Path, tmp_path: Path) -> None:
    with migrated_database(plain_server) as url, migrated_database(plain_server) as other_url:
        before = plant_run(url, story, tmp_path / "changed")
        assert before.load_and_derive().errors == []
        heal(before)
        untouched = "SELECT production_date, machine_id, time_bucket, xmin::text FROM oee_hourly ORDER BY 1, 2, 3"
        first = rows(url, untouched)

        now = dataclasses.replace(before, plant=changed(before.plant))
        # The hourly chain of the running day is the first to have the new file.
        assert now.run(("chain", now.days[-1], None)).errors == []
        assert CLOSED_DAY in waiting(now)
        assert waiting(now)[0] >= CLOSED_DAY
        heal(now)

        causes = rows(
            url,
            "SELECT DISTINCT production_date::text, machine_id, cause FROM restatements WHERE dataset = 'oee_hourly'",
        )
        assert {day for day, _, _ in causes} >= {CLOSED_DAY}
        assert all("plant file: " in cause for _, _, cause in causes)
        touched = {row[:3] for row in first} - {row[:3] for row in set(first) & set(rows(url, untouched))}
        days_touched = {(day.isoformat(), machine) for day, machine, _ in touched}
        assert {machine for day, machine in days_touched if day > CLOSED_DAY} <= {"Press02"}
        assert min(day for day, _ in days_touched) == CLOSED_DAY

        whole = plant_run(other_url, story, tmp_path / "whole")
        whole = dataclasses.replace(whole, plant=now.plant)
        assert whole.load_and_derive().errors == []
        heal(whole)
        assert_same(now.tables(), whole.tables())
