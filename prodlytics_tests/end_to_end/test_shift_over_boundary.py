"""A night shift that ends an hour after the production day: its figures need the time of two partitions."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

import psycopg
import pytest

from prodlytics.automation.schedules import dirty_days
from prodlytics.datasets.registry import DERIVED
from prodlytics.plant.model import Plant
from prodlytics_tests.end_to_end.plant_run import PlantRun, assert_same, make_story, plant_run
from prodlytics_tests.servers.databases import migrated_database


def late_night(plant: Plant) -> Plant:
    """Shift 3 runs until 07:00 and shift 1 begins then, while the production day begins at 06:00."""
    raw = plant.model_dump()
    first, _, third = raw["shift_plans"][0]["shifts"]
    first["start"], third["end"] = "07:00", "07:00"
    return Plant.model_validate(raw)


def derived(url: str, story: Path, folder: Path) -> PlantRun:
    run = plant_run(url, story, folder)
    return dataclasses.replace(run, plant=late_night(run.plant))


@pytest.fixture(scope="module")
def two_machines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A story of two machines: rows of machines that are not in the plant cost half a minute in the quarantine."""
    folder = tmp_path_factory.mktemp("two")
    make_story(folder, ("Press01", "Pack01"))
    return folder


def test_a_shift_over_the_boundary_is_whole_whatever_the_order_of_days(
    plain_server: str, two_machines: Path, tmp_path: Path
) -> None:
    with migrated_database(plain_server) as url, migrated_database(plain_server) as other_url:
        at_once = derived(url, two_machines, tmp_path / "one")
        assert at_once.load_and_derive().errors == []
        backwards = derived(other_url, two_machines, tmp_path / "other")
        steps = (("ingest_entries", None, None), ("ingest", backwards.days[-1], None))
        assert backwards.run(*steps, *(("chain", day, None) for day in reversed(backwards.days))).errors == []
        for _ in range(3):
            dirty = sorted(dirty_days(backwards.plant, backwards.database, DERIVED))
            assert backwards.run(*(("chain", day, None) for day in dirty)).errors == []
        assert_same(backwards.tables(), at_once.tables())
        with psycopg.connect(url) as conn:
            nights = conn.execute(
                "SELECT production_date, (min(starts_at) AT TIME ZONE 'America/Chicago')::text,"
                " (max(ends_at) AT TIME ZONE 'America/Chicago')::text,"
                " sum(planned_time_us + planned_stop_us + break_us + unknown_us) / 60000000"
                " FROM oee_shift WHERE machine_id = 'Press01' AND shift = 'Shift 3' GROUP BY 1 ORDER BY 1"
            ).fetchall()
    # Thursday 29 October 23:00 to Friday 07:00 is 8 hours, and so is every other night shift of the story.
    thursday = next(row for row in nights if row[0] == dt.date(2026, 10, 29))
    assert thursday[1:] == ("2026-10-29 23:00:00", "2026-10-30 07:00:00", 480)
