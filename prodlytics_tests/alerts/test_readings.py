"""What the rules read from raw samples and tables, against times and rates written down by hand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from prodlytics.alerts import readings
from prodlytics.alerts.life import Reading
from prodlytics.db.connect import connect
from prodlytics.db.telemetry import write_samples
from prodlytics.plant.model import Plant
from prodlytics.sources.live_sources import store_live_sources
from prodlytics_tests.alerts.plants import plant
from prodlytics_tests.db.samples import Row, batch

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
PLANT = plant(machines=2)
Conn = psycopg.Connection[Any]


@pytest.fixture(autouse=True)
def _now() -> None:
    """The views ask the clock of the database: minutes may lie between loading this file and a test."""
    global NOW
    NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)


@pytest.fixture
def conn(plain_database: str) -> Iterator[Conn]:
    with connect(plain_database, autocommit=True) as conn:
        with connect(plain_database) as writer:
            store_live_sources(writer, PLANT, NOW)
            writer.commit()
        yield conn


def ago(minutes: float) -> dt.datetime:
    return NOW - dt.timedelta(minutes=minutes)


def say(conn: Conn, *said: tuple[float, str, float], machine: str = "M1") -> None:
    """Samples: minutes ago, metric, value."""
    rows: list[Row] = [(machine, metric, "", ago(m), float(value), None, 192, None) for m, metric, value in said]
    with connect(conn.info.dsn + f" password={conn.info.password}") as writer:
        write_samples(writer, batch(rows), ingested_at=NOW)


def but(kind: str, since: float, until: float) -> Plant:
    """The plant with another plan from so many minutes ago until so many."""
    start, end = (ago(m).astimezone(PLANT.zone).replace(tzinfo=None).isoformat() for m in (since, until))
    return plant(machines=2, exceptions=[{"kind": kind, "start": start, "end": end, "reason": "Works"}])


def of(conn: Conn, rule: str, subject: str = "M1", of_plant: Plant = PLANT) -> Reading:
    found = [*readings.live(conn, of_plant, NOW), *readings.slow(conn, of_plant, NOW)]
    return next(one for one in found if one.rule == rule and one.subject == subject)


def test_a_stop_counts_its_planned_minutes_alone(conn: Conn) -> None:
    say(conn, (100, "State", 1), (42, "State", 3), (1, "Good", 7))
    found = of(conn, "machine_down", of_plant=but("planned_stop", 30, 10))
    # 12 minutes before the works and 10 after them.
    assert found.value == pytest.approx(22)
    assert found.since == ago(42)
    assert found.not_now is None
    assert "M1 is fault" in found.says


def test_fault_and_idle_by_turns_are_one_stop_and_a_setup_is_work(conn: Conn) -> None:
    say(conn, (50, "State", 1), (30, "State", 3), (20, "State", 2), (4, "State", 3), (1, "Good", 7))
    assert of(conn, "machine_down").since == ago(30)
    say(conn, (3, "State", 4))
    assert of(conn, "machine_down").value == 0
    say(conn, (2, "State", 2))
    assert of(conn, "machine_down").since == ago(2)


@pytest.mark.parametrize(
    ("kind", "why"), [("planned_stop", "The machine has a planned stop."), ("closure", "The machine is not scheduled.")]
)
def test_a_machine_that_should_not_work_says_why(conn: Conn, kind: str, why: str) -> None:
    say(conn, (200, "State", 1), (100, "State", 3), (1, "Good", 7))
    assert of(conn, "machine_down", of_plant=but(kind, 20, -60)).not_now == why
    assert of(conn, "machine_down", of_plant=but(kind, 60, 20)).not_now is None


def test_somebody_says_that_it_is_maintained(conn: Conn) -> None:
    code = next(one for one in PLANT.reasons if one.loss == "planned_stop").reasons[0].code
    say(conn, (200, "State", 1), (40, "State", 3), (1, "Good", 7))
    conn.execute(
        "INSERT INTO operator_entries (source_key, machine_id, kind, starts_at, reason_code, entered_by, entered_at, "
        "source) VALUES ('k1', 'M1', 'reason', %s, %s, 'Ann', %s, 'test')",
        (ago(35), code, ago(35)),
    )
    assert code in str(of(conn, "machine_down").explained)
    conn.execute(
        "INSERT INTO operator_entries (source_key, machine_id, kind, starts_at, undoes, entered_by, entered_at, source)"
        " VALUES ('k2', 'M1', 'undo', %s, 'k1', 'Ann', %s, 'test')",
        (ago(30), ago(30)),
    )
    assert of(conn, "machine_down").explained is None


def test_a_silent_feed_says_since_when_and_its_machine_is_not_called_down(conn: Conn) -> None:
    say(conn, (200, "State", 1), (100, "State", 3), (20, "Good", 7))
    silent = of(conn, "feed_silent")
    assert silent.value == pytest.approx(20, abs=0.5)
    assert silent.since == ago(20)
    assert of(conn, "machine_down").value is None


def test_vibration_is_averaged_before_it_is_judged(conn: Conn) -> None:
    name = PLANT.anomalies.vibration_metric
    say(conn, *[(m, name, 3.0) for m in range(10)], (1, "State", 1))
    assert of(conn, "vibration").value == pytest.approx(3.0)
    assert "zone C" in of(conn, "vibration").says
    # A sensor that has only begun to send says nothing yet.
    say(conn, (1, name, 9.0), (0.9, name, 9.0), (0.8, name, 9.0), machine="M2")
    assert of(conn, "vibration", "M2").value is None


NOTHING = (
    "good_count reject_count rework_count gap_good_count gap_reject_count off_plan_good_count off_plan_reject_count "
    "planned_time_us run_time_us running_us failure_us changeover_us planned_stop_us other_stop_us micro_stop_us "
    "break_us not_scheduled_us unknown_us off_plan_run_us"
)


def live(conn: Conn, **told: Any) -> None:
    """A row of live_oee of M1."""
    row: dict[str, Any] = {
        **dict.fromkeys(NOTHING.split(), 0), "machine_id": "M1", "production_date": NOW.date(), "state": "running",
        "as_of": NOW, "convention": "x", **told,
    }  # fmt: skip
    names, values = ", ".join(row), ", ".join(["%s"] * len(row))
    conn.execute(f"INSERT INTO live_oee ({names}) VALUES ({values})", list(row.values()))


def test_scrap_of_the_rolling_hour_needs_enough_pieces(conn: Conn) -> None:
    say(conn, (1, "State", 1))
    live(conn, hour_good_count=17, hour_reject_count=2)
    assert of(conn, "scrap_rate").value is None
    conn.execute("UPDATE live_oee SET hour_good_count = 18")
    assert of(conn, "scrap_rate").value == pytest.approx(10.0)


def test_the_shift_so_far_is_judged_after_an_hour_of_planned_time(conn: Conn) -> None:
    say(conn, (1, "State", 1))
    live(conn, oee=0.42, availability=0.6, performance=0.9, quality=0.8, planned_time_us=59 * 60_000_000, good_count=90)
    assert of(conn, "oee").value is None
    conn.execute("UPDATE live_oee SET planned_time_us = 61 * 60000000::bigint")
    assert [of(conn, name).value for name in ("oee", "availability", "performance", "quality")] == pytest.approx(
        [42, 60, 90, 80]
    )


def test_one_sensor_is_lost_while_others_go_on(conn: Conn) -> None:
    say(conn, (120, "State", 1), (30, "Temp", 40), (0.5, "Good", 7))
    for metric, regular in (("Temp", 0.95), ("Other", 0.2)):
        conn.execute(
            "INSERT INTO sensor_delivery (machine_id, production_date, metric_name, native_code, starts_at, ends_at, "
            "sample_count, longest_gap_s, running_interval_s, running_regular, as_of) "
            "VALUES ('M1', %s, %s, '', %s, %s, 9, 1, 10, %s, %s)",
            ((NOW - dt.timedelta(days=1)).date(), metric, ago(60), ago(1), regular, NOW),
        )
    say(conn, (40, "Other", 1))
    found = [one for one in readings.slow(conn, PLANT, NOW) if one.rule == "sensor_gap"]
    assert [(one.subject, round(one.value or 0, 1)) for one in found] == [("M1/Temp", 29.5)]


def test_rows_set_aside_in_the_last_hour_are_counted_with_their_reason(conn: Conn) -> None:
    for i, (hours, reason) in enumerate([(0.1, "bad_time"), (0.2, "bad_time"), (0.3, "no_value"), (2, "no_value")]):
        conn.execute(
            "INSERT INTO quarantine (dataset, reason, detail, origin, fingerprint, quarantined_at) "
            "VALUES ('machine_telemetry', %s, 'd', 'o', %s, %s)",
            (reason, str(i), NOW - dt.timedelta(hours=hours)),
        )
    found = of(conn, "quarantine", "machine_telemetry")
    assert found.value == 3
    assert "bad_time" in found.says
