"""Schedules, the landing sensor and pruning: which production days are asked for, and when."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import psycopg
import pytest

from prodlytics.assets.resources import Database, Places
from prodlytics.automation.jobs import prune_runs_before
from prodlytics.definitions import build_defs
from prodlytics.plant.load import load_plant
from prodlytics.settings import DEMO_PLANT

CHICAGO = ZoneInfo("America/Chicago")


def at(text: str, fold: int = 0) -> dt.datetime:
    """A wall time in the plant's zone."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=CHICAGO, fold=fold)


@pytest.fixture
def definitions(plain_database: str, tmp_path: Path) -> dg.Definitions:
    (tmp_path / "landing").mkdir()
    return build_defs(
        plant=load_plant(DEMO_PLANT),
        database=Database(url=plain_database),
        places=Places(landing_url=str(tmp_path / "landing"), archive_url=str(tmp_path / "archive")),
    )


def tick(definitions: dg.Definitions, name: str, moment: dt.datetime) -> list[str | None]:
    """The production days a schedule asks for at a moment."""
    repository = definitions.get_repository_def()
    schedule = repository.get_schedule_def(name)
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_schedule_context(
            instance=instance, scheduled_execution_time=moment, repository_def=repository,
            resources={"database": definitions.resources["database"]},
        )  # fmt: skip
        return [request.partition_key for request in schedule.evaluate_tick(context).run_requests or ()]


@pytest.mark.parametrize(
    ("moment", "days"),
    [
        ("2026-11-10T12:02", ["2026-11-10"]),
        # The night shift's morning still belongs to the day before.
        ("2026-11-10T05:02", ["2026-11-09"]),
        # Just after the boundary the day that closed is finished, and the new one begins.
        ("2026-11-10T06:02", ["2026-11-09", "2026-11-10"]),
        ("2026-11-10T07:02", ["2026-11-09", "2026-11-10"]),
        ("2026-11-10T08:02", ["2026-11-10"]),
        # The Sunday on which the clocks go forward, and the one on which they go back.
        ("2026-03-08T06:02", ["2026-03-07", "2026-03-08"]),
        ("2026-11-01T06:02", ["2026-10-31", "2026-11-01"]),
    ],
)
def test_hourly_chain_asks_for_the_running_day_and_the_one_just_closed(
    definitions: dg.Definitions, moment: str, days: list[str]
) -> None:
    assert tick(definitions, "hourly_chain", at(moment)) == days


def test_hourly_chain_heals_dirty_days_before_the_running_one(definitions: dg.Definitions, plain_database: str) -> None:
    with psycopg.connect(plain_database) as conn:
        conn.execute(
            "INSERT INTO dirty_mark (dataset, machine_id, quarter, cause) VALUES"
            " ('machine_states', 'Press01', '2026-11-03 10:00+00', 'late'),"  # 04:00: the night of 2 November
            " ('oee_hourly', 'Press02', '2026-10-20 15:00+00', 'late'),"
            " ('archive/machine_time', 'Press02', '2026-10-19 15:00+00', 'late')"
        )
    assert tick(definitions, "hourly_chain", at("2026-11-10T12:02")) == ["2026-10-20", "2026-11-02", "2026-11-10"]


def test_daily_close_asks_for_the_day_that_ended_and_for_restated_ones(
    definitions: dg.Definitions, plain_database: str
) -> None:
    with psycopg.connect(plain_database) as conn:
        conn.execute(
            "INSERT INTO dirty_mark (dataset, machine_id, quarter, cause) VALUES"
            " ('archive/machine_time', 'Press02', '2026-10-19 15:00+00', 'late'),"
            " ('daily_report', 'Press02', '2026-11-10 15:00+00', 'running day: not yet')"
        )
    assert tick(definitions, "daily_close", at("2026-11-10T06:30")) == ["2026-10-19", "2026-11-09"]


def test_schedules_follow_the_plants_clock(definitions: dg.Definitions) -> None:
    for name, cron in (("hourly_chain", "2 * * * *"), ("daily_close", "30 6 * * *"), ("nightly_pruning", "15 4 * * *")):
        schedule = definitions.get_repository_def().get_schedule_def(name)
        assert (schedule.cron_schedule, schedule.execution_timezone) == (cron, "America/Chicago")


def look(definitions: dg.Definitions) -> dg.SensorResult | dg.SkipReason | None:
    """What the landing sensor says now."""
    repository = definitions.get_repository_def()
    sensor = repository.get_sensor_def("landed_files")
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(
            instance=instance, repository_def=repository, definitions=None,
            resources={name: definitions.resources[name] for name in ("database", "places")},
        )  # fmt: skip
        return sensor.evaluate_tick(context)


def test_landing_sensor_starts_one_run_per_kind_and_none_when_nothing_is_new(
    definitions: dg.Definitions, tmp_path: Path
) -> None:
    assert look(definitions).run_requests == []
    telemetry = tmp_path / "landing" / "telemetry"
    telemetry.mkdir()
    message = {"timestamp": 1, "values": [{"id": "AB_Line1.Press01.CycleCount", "v": 1, "q": True, "t": 1793000000000}]}
    (telemetry / "a.ndjson").write_text(json.dumps(message))
    (telemetry / "half.ndjson.tmp").write_text("not yet")
    first = look(definitions).run_requests
    assert [request.job_name for request in first] == ["ingest"]
    assert look(definitions).run_requests[0].run_key == first[0].run_key
    (telemetry / "b.ndjson").write_text(json.dumps(message))
    assert look(definitions).run_requests[0].run_key != first[0].run_key


def test_pruning_keeps_recent_runs_and_the_newest_success_of_each_partition() -> None:
    @dg.op
    def nothing() -> None:
        pass

    @dg.job
    def work() -> None:
        nothing()

    with dg.DagsterInstance.ephemeral() as instance:
        old = [work.execute_in_process(instance=instance, tags={"dagster/partition": "d1"}).run_id for _ in range(3)]
        other = work.execute_in_process(instance=instance, tags={"dagster/partition": "d2"}).run_id
        cutoff = dt.datetime.now(dt.UTC)
        recent = [work.execute_in_process(instance=instance, tags={"dagster/partition": "d3"}).run_id for _ in range(2)]
        assert prune_runs_before(instance, cutoff) == 2
        left = {run.run_id for run in instance.get_runs()}
        assert left == {old[-1], other, *recent}
        assert prune_runs_before(instance, cutoff) == 0
