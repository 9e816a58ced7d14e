"""The main job on a plant whose truth is known: right, repeatable, whole after a kill, healed after late data."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psycopg
import pytest

from prodlytics.plant.calendar import production_day
from prodlytics.simulator.truth import load_truth
from prodlytics_tests.end_to_end.plant_run import MACHINES, PlantRun, assert_same, plant_run
from prodlytics_tests.ledger.invariants import broken_rules
from prodlytics_tests.servers.databases import migrated_database


@pytest.fixture(scope="module")
def derived(plain_server: str, story: Path, tmp_path_factory: pytest.TempPathFactory) -> PlantRun:
    """Everything loaded and derived in one run; tests that change it take a run of their own."""
    with migrated_database(plain_server) as url:
        run = plant_run(url, story, tmp_path_factory.mktemp("derived"))
        outcome = run.load_and_derive()
        assert outcome.errors == []
        yield run


def one(url: str, query: str) -> tuple[object, ...]:
    with psycopg.connect(url) as conn:
        row = conn.execute(query).fetchone()
        assert row is not None
        return row


def test_every_row_that_came_in_is_explained(derived: PlantRun, story: Path) -> None:
    truth = load_truth(story / "truth")
    came, stored, quarantined, duplicate = one(
        derived.url,
        "SELECT sum(rows_in), sum(rows_stored), sum(rows_quarantined), sum(rows_duplicate) FROM landed_file"
        " WHERE dataset = 'machine_telemetry'",
    )
    assert came == stored + quarantined + duplicate
    with psycopg.connect(derived.url) as conn:
        reasons = dict(
            conn.execute(
                "SELECT reason, count(*) FROM quarantine WHERE dataset = 'machine_telemetry' GROUP BY reason"
            ).fetchall()
        )
    expected = {name: truth.odd_rows[name] for name in ("unknown_machine", "not_a_number", "future_time", "conflict")}
    assert reasons == expected
    assert duplicate == truth.odd_rows["duplicate"]


def test_parts_are_the_parts_that_were_made(derived: PlantRun, story: Path) -> None:
    truth = load_truth(story / "truth").production.groupby("machine_id")[["good", "reject"]].sum()
    with psycopg.connect(derived.url) as conn:
        rows = conn.execute(
            "SELECT machine_id, sum(good_count)::int, sum(reject_count)::int FROM production_events GROUP BY 1"
        ).fetchall()
    found = pd.DataFrame(rows, columns=["machine_id", "good", "reject"]).set_index("machine_id").sort_index()
    assert (found - truth).abs().to_numpy().max() <= 1, (found - truth).to_dict()


def test_the_ledger_explains_every_second_of_closed_days(derived: PlantRun) -> None:
    overlapping, gaps = one(
        derived.url,
        "SELECT count(*) FILTER (WHERE next_start < ends_at), count(*) FILTER (WHERE next_start > ends_at) FROM ("
        " SELECT ends_at, lead(starts_at) OVER (PARTITION BY machine_id ORDER BY starts_at) AS next_start"
        " FROM machine_time) AS row",
    )
    assert (overlapping, gaps) == (0, 0)
    (machines, first, last) = one(
        derived.url, "SELECT count(DISTINCT machine_id), min(starts_at), max(ends_at) FROM machine_time"
    )
    (total,) = one(derived.url, "SELECT sum(duration_us) FROM machine_time")
    assert machines == len(MACHINES)
    assert total == len(MACHINES) * round((last - first).total_seconds() * 1e6)  # type: ignore[operator]


def test_every_rule_of_the_ledger_holds(derived: PlantRun) -> None:
    first, last = (dt.date.fromisoformat(day) for day in (derived.days[0], derived.days[-1]))
    opens, closes = production_day(derived.plant, first)[0], production_day(derived.plant, last)[1]
    assert broken_rules(derived.url, opens, closes) == {}


def test_run_time_is_the_true_run_time(derived: PlantRun, story: Path) -> None:
    states = load_truth(story / "truth").states
    running = states[states["state"] == "running"]
    true_s = (running["ends_at"] - running["starts_at"]).dt.total_seconds().groupby(running["machine_id"]).sum()
    with psycopg.connect(derived.url) as conn:
        found = dict(
            conn.execute(
                "SELECT machine_id, sum(duration_us) / 1e6 FROM machine_time WHERE bucket = 'running' GROUP BY 1"
            ).fetchall()
        )
        unknown = dict(
            conn.execute(
                "SELECT machine_id, sum(duration_us) / 1e6 FROM machine_time WHERE bucket = 'unknown' GROUP BY 1"
            ).fetchall()
        )
    for machine, seconds in true_s.items():
        # What nobody heard cannot be told; beyond that a state is sent within a second of its change.
        slack = float(unknown.get(machine, 0)) + 0.002 * seconds
        assert abs(float(found[machine]) - seconds) <= slack, machine


def test_losses_are_the_time_of_the_ledger(derived: PlantRun) -> None:
    """Per machine and day, in SQL: stops are their bucket, and all losses are planned time less good parts."""
    rows = one(
        derived.url,
        """
        WITH ledger AS (
            SELECT machine_id, production_date,
                sum(duration_us) FILTER (WHERE bucket IN ('failure', 'other_stop')) AS unplanned_stop,
                sum(duration_us) FILTER (WHERE bucket = 'changeover') AS changeover,
                sum(duration_us) FILTER (WHERE bucket = 'micro_stop') AS micro_stop,
                sum(duration_us) FILTER (WHERE bucket IN ('running', 'failure', 'other_stop', 'changeover',
                                                          'micro_stop')) AS planned,
                count(DISTINCT stop_id) FILTER (WHERE bucket IN ('failure', 'other_stop') AND reason_code IS NULL
                    AND NOT EXISTS (SELECT FROM machine_time p WHERE p.machine_id = m.machine_id
                                    AND p.stop_id = m.stop_id AND p.production_date < m.production_date
                                    AND p.bucket IN ('failure', 'other_stop') AND p.reason_code IS NULL)) AS began
            FROM machine_time m GROUP BY 1, 2
        ), good AS (
            SELECT machine_id, production_date, sum(ideal_good_time_us) AS us FROM oee_hourly GROUP BY 1, 2
        ), lost AS (
            SELECT machine_id, production_date,
                sum(loss_us) FILTER (WHERE loss = 'unplanned_stop') AS unplanned_stop,
                sum(loss_us) FILTER (WHERE loss = 'changeover') AS changeover,
                sum(loss_us) FILTER (WHERE loss = 'micro_stop') AS micro_stop,
                sum(loss_us) AS everything,
                sum(occurrences) FILTER (WHERE loss = 'unplanned_stop' AND reason_code = '') AS began
            FROM losses GROUP BY 1, 2
        )
        SELECT count(*),
            count(*) FILTER (WHERE lost.unplanned_stop IS DISTINCT FROM ledger.unplanned_stop::double precision),
            count(*) FILTER (WHERE lost.changeover IS DISTINCT FROM ledger.changeover::double precision),
            count(*) FILTER (WHERE lost.micro_stop IS DISTINCT FROM ledger.micro_stop::double precision),
            count(*) FILTER (WHERE abs(planned - good.us - coalesce(everything, 0)) > 1000),
            count(*) FILTER (WHERE coalesce(lost.began, 0) <> ledger.began)
        FROM ledger JOIN good USING (machine_id, production_date) LEFT JOIN lost USING (machine_id, production_date)
        WHERE planned > 0
        """,
    )
    assert rows[0] > 20  # type: ignore[operator]
    assert rows[1:] == (0, 0, 0, 0, 0)


def test_losses_cost_what_the_day_cost(derived: PlantRun) -> None:
    """Lost time at the rates of its day, rejects at the sums of their scrap, all from other tables in SQL."""
    (stops, wrong, scrap, scrapped) = one(
        derived.url,
        """
        SELECT
            count(*) FILTER (WHERE loss NOT IN ('defects', 'startup')),
            count(*) FILTER (WHERE loss NOT IN ('defects', 'startup')
                AND abs(cost - loss_us / 3.6e9 * (c.machine_rate_per_h + c.labor_rate_per_h)::double precision) > 1e-5),
            sum(cost) FILTER (WHERE loss IN ('defects', 'startup')),
            (SELECT sum(material_cost + labor_cost + machine_cost) FROM scrap_events)
        FROM losses l
        CROSS JOIN LATERAL (
            SELECT * FROM machine_config c WHERE c.machine_id = l.machine_id AND c.since <= l.production_date
            ORDER BY since DESC LIMIT 1
        ) AS c
        """,
    )
    assert (stops > 0, wrong) == (True, 0)  # type: ignore[operator]
    assert float(scrap) == pytest.approx(float(scrapped), rel=1e-9)  # type: ignore[arg-type]


def test_hours_of_a_25_hour_day(derived: PlantRun) -> None:
    """The production day that starts on Saturday 31 October at 06:00 lasts until 06:00 after the clocks went back."""
    (hours,) = one(
        derived.url,
        "SELECT count(*) FROM oee_hourly WHERE machine_id = 'Press01'"
        " AND time_bucket >= '2026-10-31 06:00 America/Chicago' AND time_bucket < '2026-11-01 06:00 America/Chicago'",
    )
    assert hours == 25


def test_twice_and_day_by_day_give_the_same_tables(derived: PlantRun) -> None:
    once = derived.tables()
    outcome = derived.run(*(("chain", day, None) for day in reversed(derived.days)))
    assert outcome.errors == []
    assert_same(derived.tables(), once)


def test_rows_that_come_out_the_same_are_not_touched(derived: PlantRun) -> None:
    query = "SELECT count(*), max(xmin::text::bigint) FROM oee_hourly"
    before = one(derived.url, query)
    derived.run(("chain", derived.days[0], derived.days[-1]))
    assert one(derived.url, query) == before


def test_late_rows_heal_the_days_they_change_and_say_so(
    derived: PlantRun, story: Path, plain_server: str, tmp_path: Path
) -> None:
    """After late rows have been loaded and dirty days derived, all is as if they had been there from the beginning."""
    from prodlytics.automation.schedules import dirty_days
    from prodlytics.datasets.registry import DERIVED

    with migrated_database(plain_server) as url, migrated_database(plain_server) as other_url:
        late_run = plant_run(url, story, tmp_path / "late")
        assert late_run.load_and_derive().errors == []
        for file in (story / "late").iterdir():
            shutil.copy(file, late_run.landing / "telemetry" / file.name)
        late_run.run(("ingest", late_run.days[-1], None))

        def dirty() -> list[str]:
            # Orders that began before the story leave marks on days without telemetry; those are not asked for here.
            marked = dirty_days(late_run.plant, late_run.database, DERIVED)
            return sorted(day for day in marked if day >= late_run.days[0])

        assert dirty(), "late rows left no mark"
        for _ in range(3):
            late_run.run(*(("chain", day, None) for day in dirty()))
        assert dirty() == []

        whole_run = plant_run(other_url, story, tmp_path / "whole")
        for file in (story / "late").iterdir():
            shutil.copy(file, whole_run.landing / "telemetry" / file.name)
        assert whole_run.load_and_derive().errors == []
        assert_same(late_run.tables(), whole_run.tables())
        (restated,) = one(url, "SELECT count(*) FROM restatements WHERE old_value IS DISTINCT FROM new_value")
        assert restated > 0  # type: ignore[operator]
        (raised,) = one(url, "SELECT count(*) FROM oee_hourly WHERE revision > 1")
        assert raised > 0  # type: ignore[operator]
        # What was last said of a shift or day is what its row says now.
        (shifts, plant_days, off) = one(
            url,
            "SELECT count(*) FILTER (WHERE r.period = 'shift'), count(*) FILTER (WHERE r.level = 'plant'),"
            " count(*) FILTER (WHERE r.new_value IS DISTINCT FROM k.oee OR r.new_revision > k.revision) FROM ("
            "  SELECT DISTINCT ON (level, machine_id, period, time_bucket, shift) * FROM restatements"
            "  WHERE dataset = 'kpi_rollup' AND column_name = 'oee'"
            "  ORDER BY level, machine_id, period, time_bucket, shift, restatement_id DESC) AS r"
            " LEFT JOIN kpi_rollup k ON k.level = r.level AND k.member = r.machine_id AND k.period = r.period"
            " AND k.period_start = r.production_date AND k.shift = coalesce(r.shift, '')",
        )
        assert (shifts > 0, plant_days > 0, off) == (True, True, 0)  # type: ignore[operator]


def backfill(run: PlantRun, home: Path) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "PRODLYTICS_HOME": str(home),
        "PRODLYTICS_PLANT": str(run.plant_file),
        "PRODLYTICS_DATABASE_URL": run.url,
        "PRODLYTICS_DAGSTER_URL": run.url.replace("postgresql://", "postgresql+psycopg2://"),
        "PRODLYTICS_LANDING_URL": str(run.landing),
        "PRODLYTICS_ARCHIVE_URL": str(run.archive),
    }
    command = [sys.executable, "-m", "prodlytics.cli", "backfill", run.days[0], run.days[-1]]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_two_processes_at_once_give_the_same_tables(
    derived: PlantRun, story: Path, plain_server: str, tmp_path: Path
) -> None:
    with migrated_database(plain_server) as url:
        run = plant_run(url, story, tmp_path)
        processes = [backfill(run, tmp_path / name) for name in ("one", "two")]
        said = [process.communicate(timeout=300)[0] for process in processes]
        assert [process.returncode for process in processes] == [0, 0], said
        assert_same(run.tables(), derived.tables())


def test_a_kill_in_the_middle_leaves_nothing_half_written(
    derived: PlantRun, story: Path, plain_server: str, tmp_path: Path
) -> None:
    """Killed at growing delays: what is there is whole production days, and the next run completes it."""
    with migrated_database(plain_server) as url:
        run = plant_run(url, story, tmp_path)
        for delay in (4.0, 6.0, 8.0):
            process = backfill(run, tmp_path / "home")
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
            process.wait()
            expected = derived.tables()
            for name, rows in run.tables().items():
                assert rows in ([], expected[name]), f"{name} is half written after {delay} s"
            (lost,) = one(
                url,
                "SELECT coalesce(sum(rows_in - rows_stored - rows_quarantined - rows_duplicate), 0) FROM landed_file",
            )
            assert lost == 0
        last = backfill(run, tmp_path / "home")
        said, _ = last.communicate(timeout=300)
        assert last.returncode == 0, said
        assert_same(run.tables(), derived.tables())


def test_every_capability_gives_the_same_tables(derived: PlantRun, story: Path, database: str, tmp_path: Path) -> None:
    """Plain PostgreSQL, TimescaleDB Apache edition and, where there is one, Community."""
    run = plant_run(database, story, tmp_path)
    assert run.load_and_derive().errors == []
    assert_same(run.tables(), derived.tables())
