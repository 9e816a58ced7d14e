"""Roll-ups of the demo story against sums the database makes straight from ledger, events and stops."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from prodlytics_tests.end_to_end.plant_run import MACHINES, PlantRun, plant_run
from prodlytics_tests.servers.databases import migrated_database

#: Buckets of the ledger by machine, date and shift; '' where the calendar has no shift.
LEDGER = """
    SELECT machine_id, production_date, coalesce(shift, '') AS shift,
           coalesce(sum(duration_us) FILTER (WHERE bucket IN ('running', 'micro_stop')), 0) AS run,
           coalesce(sum(duration_us) FILTER (WHERE bucket IN
               ('running', 'micro_stop', 'failure', 'changeover', 'other_stop')), 0) AS planned,
           coalesce(sum(duration_us) FILTER (WHERE bucket = 'unknown'), 0) AS unknown,
           sum(duration_us) AS total
    FROM machine_time GROUP BY 1, 2, 3
"""
#: Every counted part in the ledger row it lies in.
PARTS = """
    SELECT l.machine_id, l.production_date, coalesce(l.shift, '') AS shift, sum(e.good_count) AS good,
           sum(e.reject_count + e.rework_count) AS bad
    FROM production_events e
    JOIN machine_time l ON l.machine_id = e.machine_id AND e.time >= l.starts_at AND e.time < l.ends_at
    GROUP BY 1, 2, 3
"""
TOTAL = "running_us + failure_us + changeover_us + planned_stop_us + other_stop_us + micro_stop_us + break_us + " \
        "not_scheduled_us + unknown_us"  # fmt: skip


@pytest.fixture(scope="module")
def derived(plain_server: str, story: Path, tmp_path_factory: pytest.TempPathFactory) -> PlantRun:
    """Everything loaded and derived in one run."""
    with migrated_database(plain_server) as url:
        run = plant_run(url, story, tmp_path_factory.mktemp("rollup"))
        assert run.load_and_derive().errors == []
        yield run


def rows(run: PlantRun, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(run.url) as conn:
        return conn.execute(query).fetchall()


@pytest.mark.parametrize(
    ("level", "period", "member", "start", "shift", "machines"),
    [
        ("machine", "shift", "machine_id", "production_date", "shift", len(MACHINES)),
        ("machine", "day", "machine_id", "production_date", "''", len(MACHINES)),
        ("machine", "week", "machine_id", "date_trunc('week', production_date)::date", "''", len(MACHINES)),
        ("plant", "shift", "'demo'", "production_date", "shift", len(MACHINES)),
        ("plant", "week", "'demo'", "date_trunc('week', production_date)::date", "''", len(MACHINES)),
    ],
)
def test_elements_are_those_of_ledger_and_events(
    derived: PlantRun, level: str, period: str, member: str, start: str, shift: str, machines: int
) -> None:
    group = f"{member} AS member, {start} AS start, {shift} AS shift"
    expected = f"""
        SELECT t.member, t.start, t.shift, run, planned, unknown, total, coalesce(good, 0), coalesce(bad, 0)
        FROM (SELECT {group}, sum(run) run, sum(planned) planned, sum(unknown) unknown, sum(total) total
              FROM ({LEDGER}) l GROUP BY 1, 2, 3) t
        LEFT JOIN (SELECT {group}, sum(good) good, sum(bad) bad FROM ({PARTS}) p GROUP BY 1, 2, 3) p
            ON (p.member, p.start, p.shift) = (t.member, t.start, t.shift)
        ORDER BY 1, 2, 3"""
    found = f"""
        SELECT member, period_start, shift, run_time_us, planned_time_us, unknown_us, {TOTAL},
               good_count + gap_good_count, reject_count + rework_count + gap_reject_count
        FROM kpi_rollup WHERE level = '{level}' AND period = '{period}' ORDER BY 1, 2, 3"""
    told = rows(derived, found)
    assert told == rows(derived, expected)
    assert len(told) > 0


def test_days_of_machines_are_their_hours_to_the_last_digit(derived: PlantRun) -> None:
    columns = (
        "good_count", "reject_count", "rework_count", "gap_good_count", "gap_reject_count", "planned_time_us",
        "run_time_us", "ideal_time_us", "ideal_good_time_us",
    )  # fmt: skip
    hours = ", ".join(f"sum({name})" for name in columns)
    assert rows(
        derived,
        f"SELECT member, period_start, {', '.join(columns)} FROM kpi_rollup"
        " WHERE level = 'machine' AND period = 'day' ORDER BY 1, 2",
    ) == rows(derived, f"SELECT machine_id, production_date, {hours} FROM oee_hourly GROUP BY 1, 2 ORDER BY 1, 2")


@pytest.mark.parametrize("level", ["part", "family", "machine"])
def test_members_add_up_to_the_plant(derived: PlantRun, level: str) -> None:
    columns = "sum(good_count), sum(reject_count), sum(planned_time_us), sum(run_time_us), sum(ideal_time_us)"
    query = (
        f"SELECT period, period_start, shift, {columns} FROM kpi_rollup WHERE level = '{{}}' GROUP BY 1, 2, 3"
        " ORDER BY 1, 2, 3"
    )
    assert rows(derived, query.format(level)) == rows(derived, query.format("plant"))


def test_ratios_multiply_and_nothing_is_divided_by_zero(derived: PlantRun) -> None:
    (count, off, unplanned, odd) = rows(
        derived,
        "SELECT count(*), count(*) FILTER (WHERE abs(availability * performance * quality - oee) > 1e-9"
        " OR abs(oee - ideal_good_time_us / nullif(planned_time_us, 0)) > 1e-9),"
        " count(*) FILTER (WHERE planned_time_us = 0 AND (oee IS NOT NULL OR null_reason IS NULL)),"
        " count(*) FILTER (WHERE oee = 'NaN' OR oee = 'infinity' OR mtbf_h = 'infinity') FROM kpi_rollup",
    )[0]
    assert (off, unplanned, odd) == (0, 0, 0)
    assert count > 250  # type: ignore[operator]


def test_failures_are_the_stops_of_equipment_each_once(derived: PlantRun) -> None:
    """Counted by the database: a stop with an equipment reason, or a fault nobody explained, where its first is."""
    counted = """
        SELECT machine_id, production_date, count(*) FROM (
            SELECT DISTINCT ON (d.machine_id, d.stop_id) d.machine_id, d.production_date
            FROM downtime_events d LEFT JOIN (SELECT DISTINCT reason_category, is_equipment FROM reason_codes) r
                USING (reason_category)
            WHERE d.bucket IN ('failure', 'other_stop')
                AND (is_equipment OR is_equipment IS NULL AND bucket = 'failure')
            ORDER BY d.machine_id, d.stop_id, d.time_start) AS first
        GROUP BY 1, 2 ORDER BY 1, 2"""
    found = rows(
        derived,
        "SELECT member, period_start, failures FROM kpi_rollup"
        " WHERE level = 'machine' AND period = 'day' AND failures > 0 ORDER BY 1, 2",
    )
    assert found == rows(derived, counted)
    assert found
    assert rows(
        derived, "SELECT count(*) FROM kpi_rollup WHERE level IN ('part', 'family') AND failures IS NOT NULL"
    ) == [(0,)]


def test_lines_are_what_the_plant_file_says(derived: PlantRun) -> None:
    """Presses are added up; packaging stands for its line."""
    day = "SELECT period_start, {} FROM kpi_rollup WHERE level = '{}' AND period = 'day' AND member {} {} ORDER BY 1"
    assert rows(derived, day.format("basis, planned_time_us, oee", "line", "= 'Line3'", "")) == rows(
        derived, day.format("'Pack01', planned_time_us, oee", "machine", "= 'Pack01'", "")
    )
    assert rows(derived, day.format("basis, planned_time_us, ideal_time_us", "line", "= 'Line1'", "")) == rows(
        derived,
        day.format("'sum', sum(planned_time_us)::bigint, sum(ideal_time_us)", "machine", "LIKE 'Press%'", "GROUP BY 1"),
    )


def test_a_25_hour_day_and_its_week_end_where_the_calendar_says(derived: PlantRun) -> None:
    assert rows(
        derived,
        "SELECT period, (ends_at - starts_at)::text FROM kpi_rollup WHERE level = 'plant'"
        " AND (period, period_start) IN (('day', '2026-10-31'), ('week', '2026-10-26')) ORDER BY 1",
    ) == [("day", "1 day 01:00:00"), ("week", "7 days 01:00:00")]
