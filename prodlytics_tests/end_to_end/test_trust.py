"""Data quality and reconciliation of a plant whose truth is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest

from prodlytics.plant.load import load_plant
from prodlytics.settings import DEMO_PLANT
from prodlytics.simulator.truth import Truth, load_truth
from prodlytics_tests.end_to_end.plant_run import PlantRun, make_story, plant_run
from prodlytics_tests.servers.databases import migrated_database

#: OEE on paper of a shift of Mill01, for the whole shift and for a part of it.
PAPER = """machine_id,starts_at,ends_at,measure,figure,entered_by,entered_at
Mill01,2026-11-02T12:00:00Z,2026-11-02T20:30:00Z,oee,0.05,2001,2026-11-02T21:00:00Z
Mill02,2026-11-02T12:00:00Z,2026-11-02T14:00:00Z,oee,0.05,2001,2026-11-02T21:00:00Z
"""


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All machines: the troubles of the story then lie where every rule of trust meets one."""
    folder = tmp_path_factory.mktemp("story")
    make_story(folder, [machine.id for machine in load_plant(DEMO_PLANT).machines])
    return folder


@pytest.fixture(scope="module")
def derived(plain_server: str, story: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlantRun]:
    """Everything loaded and derived in one run, with a paper record."""
    with migrated_database(plain_server) as url:
        run = plant_run(url, story, tmp_path_factory.mktemp("trust"))
        (run.landing / "paper_records").mkdir()
        (run.landing / "paper_records" / "november.csv").write_text(PAPER)
        outcome = run.load_and_derive()
        assert outcome.errors == []
        yield run


@pytest.fixture(scope="module")
def truth(story: Path) -> Truth:
    return load_truth(story / "truth")


def rows(run: PlantRun, query: str, *values: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(run.url) as conn:
        return conn.execute(query, values).fetchall()


def test_a_feed_is_heard_but_for_what_the_story_lost_or_held_back(derived: PlantRun, truth: Truth) -> None:
    silent = {
        trouble["machine"]: (pd.Timestamp(trouble["ends_at"]) - pd.Timestamp(trouble["starts_at"])).total_seconds()
        for trouble in truth.troubles
        if trouble["kind"] in ("feed_gap", "late_rows")
    }
    assert len(silent) == 2
    found = rows(
        derived,
        "SELECT machine_id, max(longest_silence_s), min(feed_coverage), sum(plan_time_us - heard_time_us) / 1e6"
        " FROM data_quality WHERE production_date < '2026-11-03' GROUP BY 1",
    )
    for machine, longest_s, coverage, unheard_s in found:
        if machine in silent:
            # From the last sample before to the first one after; a meal may lie in it.
            assert silent[machine] <= longest_s <= silent[machine] + 120, machine
            assert silent[machine] - 45 * 60 <= unheard_s <= longest_s
        else:
            assert (longest_s, coverage) == (0.0, 1.0), machine


def test_cycles_are_parts_on_every_machine_that_was_heard(derived: PlantRun) -> None:
    found = rows(
        derived,
        "SELECT machine_id, shift, cycle_difference FROM reconciliation"
        " WHERE measure = 'parts' AND gap_value = 0 AND abs(cycle_difference) > 1",
    )
    assert found == []


def test_orders_are_off_where_the_erp_was_told_wrong(derived: PlantRun, truth: Truth) -> None:
    """The machine's count of closed orders is the truth; the ERP is off where the story made it so, and only there."""
    made = truth.production.groupby("work_order")[["good", "reject"]].sum()
    found = rows(
        derived,
        "SELECT r.machine_id, work_order, machine_value, erp_value, erp_difference FROM reconciliation r"
        " JOIN work_orders o USING (work_order)"
        " WHERE r.measure = 'good_count' AND r.machine_value IS NOT NULL AND o.status = 'closed'",
    )
    assert len(found) > 10
    troubled = {trouble["machine"] for trouble in truth.troubles}
    for machine, order, counted, reported, difference in found:
        assert difference == counted - reported
        if machine not in troubled:
            assert counted == pytest.approx(made.loc[order, "good"], abs=1), order
    assert any(abs(row[4]) > 1 for row in found), "the story tells the ERP one order in ten wrongly"


def test_an_order_from_before_the_data_is_not_compared(derived: PlantRun) -> None:
    found = rows(
        derived,
        "SELECT count(*), count(machine_value), count(erp_value) FROM reconciliation"
        " WHERE work_order <> '' AND null_reason LIKE %s",
        "%machine: begun_before_data%",
    )
    assert found[0][0] > 0
    assert found[0][1] == 0
    assert found[0][2] > 0


def test_a_paper_record_is_compared_with_its_shift_alone(derived: PlantRun) -> None:
    query = (
        "SELECT machine_value, paper_value, paper_difference, null_reason FROM reconciliation"
        " WHERE machine_id = %s AND production_date = '2026-11-02' AND shift = 'Shift 1' AND measure = 'oee'"
    )
    ((ours, paper, difference, _),) = rows(derived, query, "Mill01")
    assert (paper, difference) == (0.05, pytest.approx(ours - 0.05))
    ((_, nothing, _, why),) = rows(derived, query, "Mill02")
    assert nothing is None
    assert "paper: figure_of_part_of_the_shift" in why


def test_people_explain_about_four_stops_in_five(derived: PlantRun) -> None:
    """The story: 86 % of stops get a reason by day and 68 % by night, of which few in five minutes."""
    ((stops, coded, in_time),) = rows(
        derived, "SELECT sum(stop_count), sum(coded_count), sum(coded_in_time_count) FROM data_quality"
    )
    assert stops > 100
    assert 0.6 < coded / stops < 0.95
    assert 0 < in_time < coded


def test_the_report_and_the_checks_say_the_same_minutes(derived: PlantRun) -> None:
    """Uncoded time is the ledger's: what no reason was given for, where the calendar planned to produce."""
    ((uncoded,),) = rows(derived, "SELECT sum(uncoded_time_us)::bigint FROM data_quality")
    ((ledger,),) = rows(
        derived,
        "SELECT sum(duration_us)::bigint FROM machine_time WHERE plan = 'planned' AND reason_code IS NULL"
        " AND bucket IN ('failure', 'changeover', 'other_stop', 'planned_stop')",
    )
    assert uncoded == ledger > 0


def test_sensors_deliver_but_where_the_story_lost_their_samples(derived: PlantRun, truth: Truth) -> None:
    """Steady sensors of machines that were heard delivered 99 % and more on every day; counters cannot be counted."""
    outcome = derived.run(("close_day", "2026-10-29", "2026-11-02"))
    assert outcome.errors == []
    lost = {trouble["machine"] for trouble in truth.troubles if trouble["kind"] in ("feed_gap", "late_rows")}
    found = rows(
        derived,
        "SELECT machine_id, metric_name, min(delivery), count(delivery), count(*) FROM sensor_delivery GROUP BY 1, 2",
    )
    sensors = [row for row in found if row[1] in ("Temperature_C", "Power_kW", "Vibration_Velocity_mms")]
    assert {row[0] for row in sensors} == {machine.id for machine in derived.plant.machines}
    for machine, metric, worst, judged, _ in sensors:
        assert judged >= 3, (machine, metric)
        assert (worst < 0.95) if machine in lost else (worst >= 0.99), (machine, metric, worst)
    assert all(judged == 0 for _, metric, _, judged, _ in found if metric in ("MachineState", "PartCountGood"))


def test_sensors_are_the_same_whatever_the_order_of_days(derived: PlantRun) -> None:
    """Once what a day says about the days after it has been taken up."""
    from prodlytics.automation.schedules import dirty_days

    columns = "machine_id, production_date, metric_name, sample_count, missing_count, delivery, null_reason"
    query = f"SELECT {columns} FROM sensor_delivery ORDER BY 1, 2, 3"
    days = ["2026-10-29", "2026-10-30", "2026-10-31", "2026-11-01", "2026-11-02"]
    derived.run(("close_day", days[0], days[-1]))
    once = rows(derived, query)
    with psycopg.connect(derived.url) as conn:
        conn.execute("DELETE FROM sensor_delivery")
    derived.run(*(("close_day", day, None) for day in reversed(days)))
    for _ in range(3):
        dirty = sorted(dirty_days(derived.plant, derived.database, ["sensor_delivery"]) & set(days))
        derived.run(*(("close_day", day, None) for day in dirty))
    assert rows(derived, query) == once
