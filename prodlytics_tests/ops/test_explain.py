"""Finding the hour somebody means, and reading what belongs to it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import psycopg
import pytest

from prodlytics.datasets.registry import DATASETS
from prodlytics.db.frames import copy_in
from prodlytics.kpi.machine_time import derive_machine_time
from prodlytics.kpi.oee_hourly import derive_oee_hourly
from prodlytics.ops.explain import (
    NoSuchHourError,
    NothingToExplainError,
    explain_from,
    explain_hour,
    find_day,
    find_instant,
    find_machine,
    upstream,
)
from prodlytics.plant.calendar import plan_rows, production_day
from prodlytics.plant.model import Plant
from prodlytics.report.explain_text import as_text
from prodlytics_tests.kpi import floor
from prodlytics_tests.kpi.floor import entries, entry, events, state_spans, states
from prodlytics_tests.servers.databases import empty_database

NOW = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
LATER = dt.datetime(2026, 3, 5, 12, tzinfo=dt.UTC)


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("zone", "written", "meant"),
    [
        ("America/Chicago", "2026-11-20T10", "2026-11-20T16:00"),
        ("America/Chicago", "2026-11-20 10", "2026-11-20T16:00"),
        ("America/Chicago", "2026-11-20t9:30", "2026-11-20T15:30"),
        ("America/Chicago", "2026-11-20T10:15:30", "2026-11-20T16:15:30"),
        ("America/Chicago", "2026-11-20T10:00-06:00", "2026-11-20T16:00"),
        ("America/Chicago", "2026-11-20T10+0100", "2026-11-20T09:00"),
        ("America/Chicago", "2026-11-20T16Z", "2026-11-20T16:00"),
        ("America/Chicago", "2026-11-01T01:00-05:00", "2026-11-01T06:00"),
        ("America/Chicago", "2026-11-01T01:00-06:00", "2026-11-01T07:00"),
        ("America/Chicago", "2026-11-01T02", "2026-11-01T08:00"),
        ("America/Chicago", "2026-03-08T03", "2026-03-08T08:00"),
        ("Asia/Kolkata", "2026-11-20T10", "2026-11-20T04:30"),
        # Half an hour back on 5 April 2026 at 02:00: 01:30 to 02:00 is there twice.
        ("Australia/Lord_Howe", "2026-04-05T01:15", "2026-04-04T14:15"),
        ("Australia/Lord_Howe", "2026-04-05T01:45+11:00", "2026-04-04T14:45"),
    ],
)
def test_an_hour_as_written(zone: str, written: str, meant: str) -> None:
    assert find_instant(floor.plant(timezone=zone), written, NOW) == utc(meant)


@pytest.mark.parametrize(
    ("zone", "written", "says"),
    [
        ("America/Chicago", "2026-11-01T01", "write 2026-11-01T01:00-05:00 for the first or 2026-11-01T01:00-06:00"),
        ("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-05T01:45+11:00 for the first or 2026-04-05T01:45+10:30"),
        ("America/Chicago", "2026-03-08T02", "does not exist on 2026-03-08"),
        ("America/Chicago", "2027-06-01T02", "has not begun yet"),
        ("America/Chicago", "2025-12-31T10", "before the plant's first production day, 2026-01-01"),
        ("America/Chicago", "2026-01-01T05", "before the plant's first production day, 2026-01-01"),
        ("America/Chicago", "2026-11-20", "is not an hour"),
        ("America/Chicago", "2026-11-20T", "is not an hour"),
        ("America/Chicago", "2026-11-20T24", "is not an hour"),
        ("America/Chicago", "2026-11-20T10:61", "is not an hour"),
        ("America/Chicago", "2026-02-30T10", "is not an hour"),
        ("America/Chicago", "0001-01-01T00Z", "is not an hour"),
        ("America/Chicago", "9999-12-31T23", "is not an hour"),
        ("America/Chicago", "2026-11-20T10; DROP TABLE", "is not an hour"),
        ("America/Chicago", "2026-11-20T10+99:00", "is not an hour"),
        ("America/Chicago", "", "is not an hour"),
    ],
)
def test_an_hour_that_cannot_be_is_one_sentence(zone: str, written: str, says: str) -> None:
    with pytest.raises(NoSuchHourError) as refused:
        find_instant(floor.plant(timezone=zone), written, NOW)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01", "2026-02-30", "2025-12-31", "2026-W01"])
def test_a_day_that_cannot_be_is_one_sentence(day: str) -> None:
    with pytest.raises(NoSuchHourError):
        find_day(floor.plant(), day)


def test_a_machine_in_any_case() -> None:
    assert find_machine(floor.plant(), "m1").id == "M1"
    with pytest.raises(NoSuchHourError, match="there are M1"):
        find_machine(floor.plant(), "Furnace")


def test_what_an_hour_is_made_of_waits_for_it_and_what_is_made_of_it_does_not() -> None:
    found = upstream("oee_hourly")
    assert {"oee_hourly", "machine_time", "downtime_events", "machine_states", "production_events"} <= set(found)
    assert not {"daily_report", "oee_shift"} & set(found)


def stored(
    url: str,
    plant: Plant,
    said: pd.DataFrame,
    made: pd.DataFrame,
    day: dt.date,
    reasons: pd.DataFrame | None = None,
) -> psycopg.Connection[Any]:
    """A connection to a database that holds one day of the floor's machine, as the chain would have written it."""
    machine = plant.machines[0]
    start, end = production_day(plant, day)
    plan = plan_rows(plant, machine, start, end)
    stops = floor.stops_of(plant, said, plan, reasons)
    ledger = derive_machine_time(plant, machine, plan, said, stops, start, end)
    hours = derive_oee_hourly(plant, machine, ledger, made, start, end, floor.NOW)
    conn = psycopg.connect(url)
    conn.execute("SET timezone = 'UTC'")
    made = made.assign(as_of=floor.NOW)
    for table, frame in (
        ("plan_calendar", plan),
        ("machine_states", said),
        ("downtime_events", stops),
        ("machine_time", ledger),
        ("production_events", made),
        ("oee_hourly", hours),
    ):
        columns = [column for column in DATASETS[table].columns if column in frame]
        copy_in(conn, table, frame[columns])
    return conn


def test_the_hour_that_contains_the_time_where_hours_begin_at_half_past(plain_database: str) -> None:
    plant, day = floor.plant(day_boundary="06:30"), dt.date(2026, 3, 2)
    start, end = production_day(plant, day)
    said = state_spans([(start, end, "running", None)])
    with stored(plain_database, plant, said, events((240, 30)), day) as conn:
        (one,) = explain_from(conn, plant, "M1", "2026-03-02T10")
        # 240 min after 06:00 are 10:00, in the hour from 09:30.
        assert (one.starts_at, one.ends_at) == (utc("2026-03-02T15:30"), utc("2026-03-02T16:30"))
        assert one.figures.good_count == 30
        assert one.verdict is None
        (other,) = explain_from(conn, plant, "M1", "2026-03-02T10:30")
        assert other.starts_at == one.ends_at
        assert len(explain_from(conn, plant, "M1", "2026-03-02", whole_day=True)) == 24


def test_an_hour_of_two_production_dates_is_told_by_the_part_asked_for(plain_database: str) -> None:
    shifts = [
        {"name": "Late", "start": "14:15", "end": "06:15"},
        {"name": "Early", "start": "06:15", "end": "14:15"},
    ]
    plant, day = floor.plant(shift_plans=[{"shifts": shifts}]), dt.date(2026, 3, 2)
    start, end = production_day(plant, day)
    said = state_spans([(start, end, "running", None)])
    with stored(plain_database, plant, said, events((10, 15), (30, 45)), day) as conn:
        (before,) = explain_from(conn, plant, "M1", "2026-03-02T06")
        (after,) = explain_from(conn, plant, "M1", "2026-03-02T06:20")
        assert [str(one.production_date) for one in (before, after)] == ["2026-03-01", "2026-03-02"]
        assert (before.figures.good_count, after.figures.good_count) == (15, 45)
        assert before.ends_at == after.starts_at == utc("2026-03-02T12:15")
        assert "each part has a row of its own" in as_text(before)


def test_what_waits_what_was_restated_and_who_said_what(plain_database: str) -> None:
    plant, day = floor.plant(), floor.DAY
    said = states((30, "running"), (10, "fault"), (1400, "running"))
    reasons = entries(
        entry(30, 40, reason_code="MATL_A", entered_by="B41", entered_at=floor.at(35)),
        entry(30, 40, reason_code="MECH_A", entered_by="B42", entered_at=floor.at(45), note="again | the bearing"),
    )
    with stored(plain_database, plant, said, events((20, 25)), day, reasons) as conn:
        names = ["source_key", "machine_id", "kind", "starts_at", "ends_at", "reason_code", "note", "entered_by",
                 "entered_at"]  # fmt: skip
        undo = entries(entry(30, None, kind="undo", source_key="u1", entered_by="B1", entered_at=LATER))
        copy_in(conn, "operator_entries", reasons[names].assign(source="operator"))
        copy_in(conn, "operator_entries", undo[names].assign(source="supervisor", undoes="e0", why="wrong machine"))
        conn.execute(
            "INSERT INTO restatements (dataset, machine_id, time_bucket, production_date, column_name, old_value,"
            " new_value, old_revision, new_revision, cause, restated_at)"
            " VALUES ('oee_hourly', 'M1', %s, %s, 'good_count', 20, 25, 1, 2, 'landed file late.csv', %s),"
            " ('oee_hourly', 'M1', %s, %s, 'oee', 0.1, 0.2, 1, 2, 'of another hour', %s)",
            (floor.SIX, day, LATER, floor.at(60), day, LATER),
        )
        conn.execute("UPDATE oee_hourly SET revision = 2 WHERE time_bucket = %s", (floor.SIX,))
        conn.execute(
            "INSERT INTO dirty_mark (dataset, machine_id, quarter, cause) VALUES"
            " ('machine_states', 'M1', %s, 'landed file newer.csv'), ('daily_report', 'M1', %s, 'a report'),"
            " ('machine_time', 'M1', %s, 'of another hour')",
            (floor.at(45), floor.at(45), floor.at(60)),
        )
        one = explain_hour(conn, plant, plant.machines[0], floor.at(1))
    assert [(r.column, r.old_value, r.new_value, r.cause) for r in one.restatements] == [
        ("good_count", 20, 25, "landed file late.csv")
    ]
    assert [mark.cause for mark in one.marks] == ["landed file newer.csv"]
    assert [(e.entered_by, e.taken_back_by, e.taken_back_why) for e in one.entries] == [
        ("B41", "B1", "wrong machine"),
        ("B42", None, None),
    ]
    text = " ".join(as_text(one, width=1000).split())
    assert "Revision 2" in text
    assert "Restated to revision 2 at 2026-03-05 06:00 because of landed file late.csv: good_count 20 -> 25" in text
    assert "operator B42 said Bearing" in text
    assert "taken back by B1: wrong machine" in text
    assert "Waits: machine_states has to be computed again" in text


def test_a_ledger_without_the_hour_says_what_to_do(plain_database: str) -> None:
    plant = floor.plant()
    with stored(plain_database, plant, states((1440, "running")), events(), floor.DAY) as conn:
        conn.execute("DELETE FROM machine_time WHERE time_bucket = %s", (floor.SIX,))
        with pytest.raises(NothingToExplainError, match="prodlytics backfill 2026-03-02"):
            explain_hour(conn, plant, plant.machines[0], floor.SIX)


def test_a_database_without_tables_is_one_sentence(plain_server: str) -> None:
    with (
        empty_database(plain_server) as url,
        psycopg.connect(url) as conn,
        pytest.raises(NothingToExplainError, match="run prodlytics migrate"),
    ):
        explain_from(conn, floor.plant(), "M1", "2026-03-02T10")
