"""What fails in Dagster becomes an alert once, and nothing of what failed before we looked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import psycopg
import pytest

from prodlytics.assets.resources import Database
from prodlytics.automation.alerting import alert_dagster, alert_rules
from prodlytics.db.connect import connect
from prodlytics_tests.alerts.plants import plant

PLANT = plant()
#: What the assets do when they are materialized.
MOOD: dict[str, Any] = {"passed": True, "raises": False, "blocking_passed": True}
ID = PLANT.plant


@dg.asset(key=[ID, "good"], check_specs=[dg.AssetCheckSpec("is_right", asset=[ID, "good"])])
def good():  # type: ignore[no-untyped-def]
    if MOOD["raises"]:
        raise RuntimeError("The press broke.")
    severity = dg.AssetCheckSeverity.ERROR
    checked = dg.AssetCheckResult(
        check_name="is_right", passed=MOOD["passed"], severity=severity, description="3 rows are wrong."
    )
    return dg.MaterializeResult(check_results=[checked])


@dg.asset(key=[ID, "blocked"], check_specs=[dg.AssetCheckSpec("stops", asset=[ID, "blocked"], blocking=True)])
def blocked():  # type: ignore[no-untyped-def]
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(check_name="stops", passed=MOOD["blocking_passed"])])


@pytest.fixture
def conn(plain_database: str) -> Iterator[psycopg.Connection[Any]]:
    with connect(plain_database, autocommit=True) as conn:
        yield conn


@pytest.fixture(autouse=True)
def well() -> None:
    MOOD.update(passed=True, raises=False, blocking_passed=True)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def tick(plain_database: str, instance: dg.DagsterInstance) -> Callable[[], str]:
    sensor = alert_dagster(PLANT)
    jobs = [dg.define_asset_job(name, selection=[dg.AssetKey([ID, name])]) for name in ("good", "blocked")]
    database = Database(url=plain_database)
    defs = dg.Definitions([good, blocked], jobs=jobs, sensors=[sensor], resources={"database": database})
    repository = defs.get_repository_def()
    cursor: list[str | None] = [None]

    def look() -> str:
        context = dg.build_sensor_context(
            instance=instance, repository_def=repository, cursor=cursor[0], resources={"database": database}
        )
        result = repository.get_sensor_def("alert_dagster").evaluate_tick(context)
        cursor[0] = result.cursor or cursor[0]
        return str(result.skip_message)

    look.run = lambda name: repository.get_job(name).execute_in_process(  # type: ignore[attr-defined]
        instance=instance, raise_on_error=False
    )
    return look


def open_alerts(conn: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    rows = conn.execute(
        "SELECT alert_key, message FROM alerts WHERE clear_since IS NULL AND state <> 'resolved' ORDER BY alert_key"
    )
    return [(key, message) for key, message in rows.fetchall()]


def test_a_failed_check_is_one_alert_until_it_passes(conn: psycopg.Connection[Any], tick: Any) -> None:
    tick()
    MOOD["passed"] = False
    tick.run("good")
    tick()
    tick.run("good")
    tick()
    assert open_alerts(conn) == [("check_failed:good/is_right", "3 rows are wrong.")]
    assert conn.execute("SELECT count(*), min(severity) FROM alerts").fetchone() == (1, "critical")
    MOOD["passed"] = True
    tick.run("good")
    tick()
    assert open_alerts(conn) == []


def test_a_failed_run_says_which_step_and_why_until_one_succeeds(conn: psycopg.Connection[Any], tick: Any) -> None:
    tick()
    MOOD["raises"] = True
    tick.run("good")
    tick()
    ((key, message),) = open_alerts(conn)
    assert key == "run_failed:good"
    assert "The press broke." in message
    MOOD["raises"] = False
    tick.run("good")
    tick()
    assert open_alerts(conn) == []


def test_a_check_that_stops_a_run_is_announced_once(conn: psycopg.Connection[Any], tick: Any) -> None:
    tick()
    MOOD["blocking_passed"] = False
    assert not tick.run("blocked").success
    tick()
    assert [key for key, _ in open_alerts(conn)] == ["check_failed:blocked/stops"]


def test_what_failed_before_the_first_look_is_history(conn: psycopg.Connection[Any], tick: Any) -> None:
    MOOD.update(passed=False, blocking_passed=False)
    tick.run("good")
    tick.run("blocked")
    tick()
    assert open_alerts(conn) == []
    assert tick() == "No run has ended."


def test_the_tick_of_the_rules_starts_no_run_and_writes_nothing_when_nothing_is_new(
    plain_database: str, conn: psycopg.Connection[Any]
) -> None:
    sensor, database = alert_rules(PLANT), Database(url=plain_database)
    cursor = None
    for _ in range(2):
        with dg.DagsterInstance.ephemeral() as instance:
            context = dg.build_sensor_context(instance=instance, cursor=cursor, resources={"database": database})
            result = sensor.evaluate_tick(context)
        assert result.run_requests == []
        assert result.skip_message == "Nothing has changed."
        cursor = result.cursor
    assert conn.execute("SELECT count(*) FROM alert_history").fetchone() == (0,)


def test_without_the_database_a_tick_says_so_and_does_not_fail() -> None:
    sensor = alert_rules(PLANT)
    away = Database(url="postgresql://nobody@127.0.0.1:1/none")
    with dg.DagsterInstance.ephemeral() as instance:
        result = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, resources={"database": away}))
    assert "cannot be used" in str(result.skip_message)
