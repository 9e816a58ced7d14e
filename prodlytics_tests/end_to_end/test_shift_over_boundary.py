"""A night shift that ends an hour after the production day: its figures need the time of two partitions."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

import psycopg

from prodlytics.automation.schedules import dirty_days
from prodlytics.datasets.registry import DERIVED
from prodlytics.plant.model import Plant
from prodlytics_tests.end_to_end.plant_run import PlantRun, assert_same, plant_run
from prodlytics_tests.servers.databases import migrated_database


def late_night(plant: Plant) -> Plant:
    """Two machines; shift 3 runs until 07:00 and shift 1 begins then, while the production day begins at 06:00."""
    raw = plant.model_dump()
    raw["machines"] = [machine for machine in raw["machines"] if machine["id"] in ("Press01", "Pack01")]
    kept = {machine["id"] for machine in raw["machines"]}
    raw["lines"] = [line for line in raw["lines"] if line["id"] in {machine["line"] for machine in raw["machines"]}]
    for part in raw["parts"]:
        part["ideal_cycle_time_ms"] = {k: v for k, v in part["ideal_cycle_time_ms"].items() if k in kept}
    for exception in raw["exceptions"]:
        exception["machines"] = exception["machines"] and tuple(kept & set(exception["machines"]))
    raw["exceptions"] = [one for one in raw["exceptions"] if one["machines"] is None or one["machines"]]
    first, _, third = raw["shift_plans"][0]["shifts"]
    first["start"], third["end"] = "07:00", "07:00"
    return Plant.model_validate(raw)


def derived(url: str, story: Path, folder: Path) -> PlantRun:
    run = plant_run(url, story, folder)
    return dataclasses.replace(run, plant=late_night(run.plant))


def test_a_shift_over_the_boundary_is_whole_whatever_the_order_of_days(
    plain_server: str, story: Path, tmp_path: Path
) -> None:
    with migrated_database(plain_server) as url, migrated_database(plain_server) as other_url:
        at_once = derived(url, story, tmp_path / "one")
        assert at_once.load_and_derive().errors == []
        backwards = derived(other_url, story, tmp_path / "other")
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
