"""A few days of the demo plant through the whole product, in a database and folders of a test's own.

Belongs here: what several end-to-end tests need. Does not belong here: assertions.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import psycopg

from prodlytics.assets.resources import Database, Places
from prodlytics.backfill import Outcome, Runner
from prodlytics.datasets.registry import DATASETS
from prodlytics.partitions import production_days
from prodlytics.plant.load import load_plant
from prodlytics.plant.model import Plant
from prodlytics.settings import DEMO_PLANT
from prodlytics.simulator.history import simulate

#: Noon on the Tuesday after the clocks went back in Chicago (Sunday 1 November 2026 has 25 hours).
END = dt.datetime(2026, 11, 3, 18, 0, tzinfo=dt.UTC)
DAYS = 6

#: Tables that are a pure function of what came in; the others carry clocks and counters.
COMPARED = ("plan_calendar", "production_events", "machine_states", "downtime_events", "scrap_events", "machine_time",
            "oee_hourly", "oee_shift", "kpi_rollup", "losses", "data_quality",
            "reconciliation")  # fmt: skip


#: Seven of the twelve machines: both kinds of counter, all classes of vibration and none, several of a line. All twelve
#: took twice the time and had no rule more.
MACHINES = ("Press01", "Press02", "Press03", "Press04", "Mill01", "Mill02", "Pack01")


@dataclass(frozen=True)
class PlantRun:
    """One plant's surroundings."""

    plant: Plant
    url: str
    landing: Path
    archive: Path
    plant_file: Path

    def runner(self, instance: dg.DagsterInstance) -> Runner:
        """Jobs of this plant against this database and these folders."""
        return Runner(
            self.plant,
            instance,
            database=self.database,
            places=Places(landing_url=str(self.landing), archive_url=str(self.archive)),
        )

    @property
    def database(self) -> Database:
        """The database as assets see it."""
        return Database(url=self.url)

    def run(self, *steps: tuple[str, str | None, str | None]) -> Outcome:
        """Run jobs in order: (job, first day, last day)."""
        with dg.DagsterInstance.ephemeral() as instance:
            runner = self.runner(instance)
            for job, first, last in steps:
                runner.run(job, first=first, last=last)
            return runner.outcome

    def load_and_derive(self) -> Outcome:
        """Everything that has landed, over all days in one run."""
        first, last = self.days[0], self.days[-1]
        return self.run(("ingest_entries", None, None), ("ingest", last, None), ("chain", first, last))

    @property
    def days(self) -> list[str]:
        """The production days of the story."""
        keys = production_days(self.plant).get_partition_keys()
        last = keys.index("2026-11-03")
        return keys[last - DAYS + 1 : last + 1]

    def tables(self) -> dict[str, list[tuple[object, ...]]]:
        """Every compared table, without what says when a row was made."""
        with psycopg.connect(self.url) as conn:
            conn.execute("SET timezone = 'UTC'")
            return {name: self._rows(conn, name) for name in COMPARED}

    @staticmethod
    def _rows(conn: psycopg.Connection[tuple[object, ...]], name: str) -> list[tuple[object, ...]]:
        dataset = DATASETS[name]
        columns = ", ".join(column for column in dataset.columns if column != "as_of")
        return conn.execute(f"SELECT {columns} FROM {name} ORDER BY {', '.join(dataset.key)}").fetchall()


def only(plant: Plant, machines: Collection[str]) -> Plant:
    """The plant without its other machines, and without what the file says of those."""
    raw = plant.model_dump()
    raw["machines"] = [machine for machine in raw["machines"] if machine["id"] in machines]
    lines = {machine["line"] for machine in raw["machines"]}
    raw["lines"] = [line for line in raw["lines"] if line["id"] in lines]
    for part in raw["parts"]:
        part["ideal_cycle_time_ms"] = {k: v for k, v in part["ideal_cycle_time_ms"].items() if k in machines}
    for exception in raw["exceptions"]:
        exception["machines"] = exception["machines"] and tuple(
            name for name in exception["machines"] if name in machines
        )
    raw["exceptions"] = [one for one in raw["exceptions"] if one["machines"] is None or one["machines"]]
    return Plant.model_validate(raw)


def make_story(folder: Path, machines: Collection[str] = MACHINES) -> tuple[Path, Path, list[Path]]:
    """Simulate once; returns landing, truth and the files that arrive late (moved aside)."""
    plant = only(load_plant(DEMO_PLANT), machines)
    (folder / "plant.yaml").write_text(plant.model_dump_json(), encoding="utf-8")
    landing, truth, aside = folder / "landing", folder / "truth", folder / "late"
    report = simulate(plant, landing, truth, end=END, days=DAYS)
    aside.mkdir()
    late = [Path(shutil.move(file, aside / file.name)) for file in report.late_files]
    return landing, truth, late


def plant_run(url: str, story: Path, folder: Path) -> PlantRun:
    """A run with its own copy of the landed files."""
    landing = folder / "landing"
    shutil.copytree(story / "landing", landing)
    plant_file = story / "plant.yaml"
    return PlantRun(load_plant(plant_file), url, landing, folder / "archive", plant_file)


def assert_same(found: dict[str, list[tuple[object, ...]]], expected: dict[str, list[tuple[object, ...]]]) -> None:
    """Compare tables and name the columns that differ: rows of thirty columns are hard to read."""
    for name, rows in expected.items():
        columns = [column for column in DATASETS[name].columns if column != "as_of"]
        assert len(found[name]) == len(rows), name
        differing = {
            column: (row[index], other[index])
            for row, other in zip(found[name], rows, strict=True)
            for index, column in enumerate(columns)
            if row[index] != other[index]
        }
        assert differing == {}, f"{name}: {differing}"
