"""The plant files of the real data say something about everything that is in the data."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
from pathlib import Path

import pytest

from prodlytics.plant.calendar import production_date_of
from prodlytics.plant.load import load_plant

PLANTS = Path(__file__).parents[1] / "plants"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_mazak01_knows_every_execution_state_and_condition(shared_data: Path) -> None:
    plant = load_plant(PLANTS / "mazak01.yaml")
    machine = plant.machine("Mazak01")
    executions, conditions, first = set(), set(), None
    with gzip.open(shared_data / "nist_mazak01" / "events.txt.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            time, key, value, *rest = line.rstrip("\n").split("|")
            first = first or time
            if key == "execution":
                executions.add(value)
            if rest:
                conditions.add(key)
    assert executions == set(machine.state.map)
    assert conditions == set(machine.alarm_metrics)
    assert first is not None
    assert production_date_of(plant, dt.datetime.fromisoformat(first)) == plant.first_day


def test_the_sme_machine_knows_every_status(shared_data: Path) -> None:
    plant = load_plant(PLANTS / "sme.yaml")
    data = rows(shared_data / "sme" / "asset_1.csv")
    assert {str(int(float(row["status"]))) for row in data} == set(plant.machines[0].state.map)
    assert {row["asset"] for row in data} == set(plant.machines[0].aliases)
    columns = {*plant.landing[0].columns.values(), *plant.landing[0].metrics.values()}
    assert columns == set(data[0])
    # A row speaks of the seconds before it.
    first = min(dt.datetime.fromisoformat(row["ts"]) - dt.timedelta(seconds=float(row["status_time"])) for row in data)
    assert production_date_of(plant, first) == plant.first_day


def test_the_job_shop_knows_every_work_centre(shared_data: Path) -> None:
    plant = load_plant(PLANTS / "job_shop.yaml")
    data = rows(shared_data / "production_log" / "production_jan_feb.csv")
    names = {name for machine in plant.machines for name in (machine.id, *machine.aliases)}
    assert {row["Activity"] for row in data} - names == {"Start", "End"}
    assert set(plant.landing[0].columns.values()) <= set(data[0])
    assert plant.landing[0].time_format is not None
    first = min(dt.datetime.strptime(row["Start Timestamp"], plant.landing[0].time_format) for row in data)  # noqa: DTZ007
    assert production_date_of(plant, first.replace(tzinfo=plant.zone)) == plant.first_day


@pytest.mark.parametrize("name", ["mazak01", "sme", "job_shop"])
def test_all_time_is_planned_where_nobody_published_a_timetable(name: str) -> None:
    plant = load_plant(PLANTS / f"{name}.yaml")
    assert [shift.start for shift in plant.shift_plans[0].shifts] == [plant.day_boundary]
    assert [shift.end for shift in plant.shift_plans[0].shifts] == [plant.day_boundary]
