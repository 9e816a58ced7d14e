"""Noticing a changed plant file: once, whole, beside other runs, and never with a lost mark."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from prodlytics.assets.window import day_edges
from prodlytics.db import plant_settings
from prodlytics.db.connect import connect
from prodlytics.db.plant_settings import SettingsChangedError, hold, latest_changes, machines_gone, notice
from prodlytics.plant.calendar import production_day
from prodlytics.plant.changed import InstallationChangedError
from prodlytics.plant.model import Plant
from prodlytics_tests.db.test_dirty import Blocked
from prodlytics_tests.plant.test_changed import MACHINE, since
from prodlytics_tests.plant.test_changed import plant as plant_with

COMPUTED = [dt.date(2026, 11, n) for n in (1, 2, 3)]
AFTER = dt.date(2026, 11, 5)


@pytest.fixture
def conn(database: str) -> Iterator[psycopg.Connection[Any]]:
    with connect(database) as conn:
        yield conn


@pytest.fixture
def other(database: str) -> Iterator[psycopg.Connection[Any]]:
    with connect(database) as conn:
        yield conn


def compute(
    conn: psycopg.Connection[Any], plant: Plant, days: list[dt.date], machines: tuple[str, ...] = ("M1", "M2")
) -> None:
    """As far as the settings can tell: a row of the calendar for each machine and day."""
    for day in days:
        start, end = production_day(plant, day)
        for machine in machines:
            conn.execute(
                "INSERT INTO plan_calendar VALUES (%s, %s, %s, 'planned', 'S', %s, 'test')", (machine, start, end, day)
            )
    conn.commit()


def marks(conn: psycopg.Connection[Any], plant: Plant) -> set[tuple[str, str, dt.date]]:
    """Dataset, machine and production day of every mark."""
    found = conn.execute("SELECT dataset, machine_id, quarter FROM dirty_mark").fetchall()
    conn.commit()
    days = [dt.date(2026, 10, 30) + dt.timedelta(days=n) for n in range(10)]
    edges = day_edges(plant, production_day(plant, days[0])[0], production_day(plant, days[-1])[1])
    return {
        (dataset, machine, next(day for day, end in zip(days, edges[1:], strict=True) if quarter < end))
        for dataset, machine, quarter in found
    }


OLD = plant_with()
NEW = plant_with({"micro_stop_s": since("2026-11-02", 120, 60)})
EXPECTED = {("downtime_events", "M1", COMPUTED[1]), ("downtime_events", "M1", COMPUTED[2])}


def test_the_first_version_is_only_recorded(conn: psycopg.Connection[Any]) -> None:
    compute(conn, OLD, COMPUTED)
    first = notice(conn, OLD)
    assert notice(conn, OLD).number == first.number
    assert marks(conn, OLD) == set()
    assert latest_changes(conn, 10) == []


def test_a_changed_file_marks_computed_days_once_and_is_told(conn: psycopg.Connection[Any]) -> None:
    compute(conn, OLD, COMPUTED)
    first = notice(conn, OLD)
    second = notice(conn, NEW)
    assert (second.number > first.number, second.marked) == (True, 2)
    assert marks(conn, OLD) == EXPECTED
    causes = conn.execute("SELECT DISTINCT cause FROM dirty_mark").fetchall()
    assert causes == [("plant file: micro_stop_s of M1: 120 -> 60",)]
    ((noticed, *told),) = latest_changes(conn, 10)
    assert told == ["machines M1 micro_stop_s since 2026-11-02", None, "60", COMPUTED[1], COMPUTED[2]]
    assert noticed is not None
    conn.execute("DELETE FROM dirty_mark")
    conn.commit()
    assert notice(conn, NEW).marked == 0
    assert marks(conn, OLD) == set()


def test_days_that_were_not_computed_are_not_marked(conn: psycopg.Connection[Any]) -> None:
    compute(conn, OLD, [COMPUTED[0], AFTER], machines=("M2",))
    compute(conn, OLD, [COMPUTED[1]], machines=("M1",))
    notice(conn, OLD)
    notice(conn, plant_with(fault_reasons={"E1": "MECH_A"}))
    expected = {("M2", COMPUTED[0]), ("M2", AFTER), ("M1", COMPUTED[1])}
    assert marks(conn, OLD) == {("downtime_events", machine, day) for machine, day in expected}


def test_a_mark_belongs_to_its_day_also_where_days_begin_at_ten_past(conn: psycopg.Connection[Any]) -> None:
    old, new = (plant_with(day_boundary="06:10", fault_reasons=reasons) for reasons in ({}, {"E1": "MECH_A"}))
    compute(conn, old, [COMPUTED[1]], machines=("M1",))
    notice(conn, old)
    notice(conn, new)
    assert marks(conn, old) == {("downtime_events", "M1", COMPUTED[1])}


def test_reports_are_marked(conn: psycopg.Connection[Any]) -> None:
    conn.execute(
        "INSERT INTO daily_report (production_date, summary, html, plain_text, fingerprint, as_of)"
        " VALUES ('2026-11-02', '{}', '', '', '', now())"
    )
    notice(conn, OLD)
    notice(conn, plant_with({"name": "Uno"}))
    assert marks(conn, OLD) == {("daily_report", "*", COMPUTED[1])}


def test_two_runs_that_notice_at_once_make_one_version(
    conn: psycopg.Connection[Any], other: psycopg.Connection[Any], database: str
) -> None:
    compute(conn, OLD, COMPUTED)
    notice(conn, OLD)
    with connect(database, autocommit=True) as watcher:
        with conn.transaction():
            mine = notice(conn, NEW)
            waiting = Blocked(other, watcher, lambda: notice(other, NEW))
        assert waiting.wait().number == mine.number
    assert marks(conn, OLD) == EXPECTED
    assert conn.execute("SELECT count(*) FROM plant_settings").fetchone() == (2,)


def test_who_computes_with_the_old_file_is_waited_for_and_its_day_is_marked(
    conn: psycopg.Connection[Any], other: psycopg.Connection[Any], database: str
) -> None:
    """The day is not there yet when the new file is noticed; it is marked all the same."""
    old = notice(conn, OLD)
    with connect(database, autocommit=True) as watcher:
        hold(conn, old)
        start, end = production_day(OLD, COMPUTED[1])
        conn.execute(
            "INSERT INTO plan_calendar VALUES ('M1', %s, %s, 'planned', 'S', %s, 'test')", (start, end, COMPUTED[1])
        )
        noticing = Blocked(other, watcher, lambda: notice(other, NEW))
        conn.commit()
        noticing.wait()
    assert marks(conn, OLD) == {("downtime_events", "M1", COMPUTED[1])}


def test_who_has_the_old_file_computes_nothing_after_a_new_one_was_noticed(
    conn: psycopg.Connection[Any], other: psycopg.Connection[Any]
) -> None:
    old = notice(conn, OLD)
    new = notice(other, NEW)
    with pytest.raises(SettingsChangedError, match="Nothing is lost"), conn.transaction():
        hold(conn, old)
    with other.transaction():
        hold(other, new)


def test_computing_runs_do_not_wait_for_each_other(
    conn: psycopg.Connection[Any], other: psycopg.Connection[Any]
) -> None:
    version = notice(conn, OLD)
    # Waiting would be for ever, since both are here: it is an error instead.
    other.execute("SET lock_timeout = '5s'")
    other.commit()
    with conn.transaction(), other.transaction():
        hold(conn, version)
        hold(other, version)
        held = conn.execute(
            "SELECT count(DISTINCT pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
            " WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.granted"
        )
        assert held.fetchone() == (2,)


class DiedError(Exception):
    """The process ended here."""


@pytest.mark.parametrize("step", ["_marks", "_leave", "_record"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_death_at_any_step_loses_no_mark(
    database: str, conn: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    compute(conn, OLD, COMPUTED)
    notice(conn, OLD)
    real = getattr(plant_settings, step)

    def dies(*args: Any) -> Any:
        if when == "after":
            real(*args)
        raise DiedError

    with monkeypatch.context() as patched, connect(database) as doomed:
        patched.setattr(plant_settings, step, dies)
        with pytest.raises(DiedError):
            notice(doomed, NEW)
    assert marks(conn, OLD) == set()
    assert notice(conn, NEW).marked == 2
    assert marks(conn, OLD) == EXPECTED


def test_going_back_to_the_old_file_marks_the_days_again(conn: psycopg.Connection[Any]) -> None:
    compute(conn, OLD, COMPUTED)
    notice(conn, OLD)
    notice(conn, NEW)
    conn.execute("DELETE FROM dirty_mark")
    conn.commit()
    assert notice(conn, OLD).marked == 2
    assert marks(conn, OLD) == EXPECTED


def test_settings_recorded_by_a_version_that_knew_others_mark_everything(conn: psycopg.Connection[Any]) -> None:
    compute(conn, OLD, COMPUTED[:1], machines=("M1",))
    notice(conn, OLD)
    conn.execute("UPDATE plant_settings SET fingerprint = 'of then', settings = settings || '{\"long_gone\": 1}'")
    conn.commit()
    assert notice(conn, OLD).marked > 5
    assert {(machine, day) for _, machine, day in marks(conn, OLD)} == {("M1", COMPUTED[0])}


def test_another_day_boundary_is_refused_and_leaves_everything_as_it_was(conn: psycopg.Connection[Any]) -> None:
    compute(conn, OLD, COMPUTED)
    notice(conn, OLD)
    with pytest.raises(InstallationChangedError, match="Write day_boundary: '06:00' again"):
        notice(conn, plant_with(day_boundary="05:00"))
    assert marks(conn, OLD) == set()
    assert conn.execute("SELECT count(*) FROM plant_settings").fetchone() == (1,)


def test_a_machine_that_is_gone_is_named(conn: psycopg.Connection[Any]) -> None:
    compute(conn, OLD, COMPUTED[:1])
    assert machines_gone(conn, OLD) == []
    assert machines_gone(conn, plant_with(machines=[MACHINE], parts=[])) == ["M2"]


def test_what_was_noticed_can_only_be_added_to(database: str, conn: psycopg.Connection[Any]) -> None:
    notice(conn, OLD)
    notice(conn, NEW)
    with connect(database, role="prodlytics_writer") as writer:
        notice(writer, OLD)
        for statement in (
            "UPDATE plant_settings SET noticed_at = now()",
            "DELETE FROM settings_change",
            "DELETE FROM plant_settings",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), writer.transaction():
                writer.execute(statement)
