"""anomaly_scores in a database: trained on a quiet week, it names the hour and the sensor, and the shift with scrap."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg
import numpy as np
import psycopg
import pytest

from prodlytics.assets.anomaly_scores import anomaly_scores
from prodlytics.assets.anomaly_training import train_anomalies
from prodlytics.assets.resources import Database
from prodlytics.db import model_registry
from prodlytics.db.connect import connect
from prodlytics.plant.model import Plant
from prodlytics_tests.plant.small_plant import small_plant
from prodlytics_tests.servers.databases import migrated_database

START = dt.datetime(2026, 9, 7, 11, 0, tzinfo=dt.UTC)  # 06:00 in Chicago
DAYS = 8
TODAY = START + dt.timedelta(days=DAYS - 1)
ILL_FROM, ILL_UNTIL = TODAY + dt.timedelta(hours=5), TODAY + dt.timedelta(hours=7)
LIMITS = {"ab_mms": 1.12, "bc_mms": 2.8, "cd_mms": 7.1, "source": "ISO 10816-1 class II"}
METRICS = ("Power_kW", "Temperature_C", "Vibration_Velocity_mms")


def plant() -> Plant:
    machine = {"line": "L1", "state": {"map": {"1": "running"}}}
    return small_plant(
        machines=[
            {"id": "M1", "name": "One", **machine, "vibration_limits": LIMITS},
            {"id": "M2", "name": "Two", **machine},
        ],
        anomalies={
            "hypotheses": [
                {"hypothesis": "Bearing", "sensor": "vibration*", "direction": "high", "check": "Listen"},
                {"hypothesis": "Batch", "detector": "scrap"},
                {"hypothesis": "Loose foot", "detector": "vibration", "sensor": "vibration*"},
            ]
        },
    )


@dataclass(frozen=True)
class Floor:
    plant: Plant
    url: str

    def materialize(self, day: str) -> dg.ExecuteInProcessResult:
        with dg.DagsterInstance.ephemeral() as instance:
            return dg.materialize(
                [anomaly_scores(self.plant)],
                resources={"database": Database(url=self.url)},
                instance=instance,
                partition_key=day,
            )

    def rows(self, where: str = "true") -> list[dict[str, Any]]:
        with connect(self.url) as conn:
            cursor = conn.execute(f"SELECT * FROM anomaly_scores WHERE {where} ORDER BY machine_id, detector, episode")
            names = [column.name for column in cursor.description or []]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def fill(conn: psycopg.Connection) -> None:
    """M1 runs for eight days; on the last its vibration doubles for two hours, and a shift throws parts away."""
    rng = np.random.default_rng(5)
    count = DAYS * 1440
    times = [START + dt.timedelta(minutes=n, seconds=20) for n in range(count)]
    ill = np.array([ILL_FROM <= time < ILL_UNTIL for time in times])
    values = {
        "Power_kW": 12 + rng.normal(0, 0.4, count),
        "Temperature_C": 55 + rng.normal(0, 0.5, count),
        "Vibration_Velocity_mms": 1.0 + rng.normal(0, 0.07, count) + 1.0 * ill,
    }
    for metric in METRICS:
        tag = conn.execute(
            "INSERT INTO tag (machine_id, metric_name, source) VALUES ('M1', %s, 'test') RETURNING tag_id", (metric,)
        ).fetchone()
        assert tag is not None
        with conn.cursor().copy("COPY telemetry_sample (tag_id, time, value) FROM STDIN") as copy:
            for time, value in zip(times, values[metric], strict=True):
                copy.write_row((tag[0], time, float(value)))
    for day in range(DAYS):
        for hour in range(24):
            begins = START + dt.timedelta(days=day, hours=hour)
            conn.execute(
                "INSERT INTO machine_time (machine_id, starts_at, ends_at, bucket, plan, state, production_date,"
                " time_bucket, as_of) VALUES ('M1', %s, %s, 'running', 'planned', 'running', %s, %s, %s)",
                (begins, begins + dt.timedelta(hours=1), begins.date(), begins, begins),
            )
        for number in range(3):
            begins = START + dt.timedelta(days=day, hours=8 * number)
            rejects = 30 if day == DAYS - 1 and number == 1 else 4
            _shift(conn, begins, f"Shift {number + 1}", START.date() + dt.timedelta(days=day), 400 - rejects, rejects)


def _shift(conn: psycopg.Connection, begins: dt.datetime, name: str, day: dt.date, good: int, reject: int) -> None:
    zeros = conn.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'oee_shift' AND is_nullable = 'NO'"
        " AND column_default IS NULL AND data_type IN ('bigint', 'numeric')"
    ).fetchall()
    row: dict[str, object] = {name: 0 for (name,) in zeros}
    row |= {
        "machine_id": "M1", "production_date": day, "shift": name, "part_number": "P1", "starts_at": begins,
        "ends_at": begins + dt.timedelta(hours=8), "good_count": good, "reject_count": reject, "convention": "c",
        "as_of": begins, "fingerprint": "f",
    }  # fmt: skip
    conn.execute(
        f"INSERT INTO oee_shift ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})", list(row.values())
    )


@pytest.fixture(scope="module")
def floor(plain_server: str) -> Iterator[Floor]:
    with migrated_database(plain_server) as url:
        made = Floor(plant(), url)
        with connect(url) as conn:
            fill(conn)
            conn.commit()
        made.materialize("2026-09-13")  # nobody has trained yet
        with connect(url) as conn:
            train_anomalies(conn, made.plant, TODAY, "by_hand")
            conn.commit()
        assert made.materialize("2026-09-14").success
        yield made


def test_without_a_model_it_says_so(floor: Floor) -> None:
    (one,) = floor.rows("machine_id = 'M1' AND detector = 'process' AND production_date = '2026-09-13'")
    assert one["null_reason"] == "no model was trained yet"
    (other,) = floor.rows("machine_id = 'M2' AND detector = 'process' AND production_date = '2026-09-14'")
    assert other["null_reason"] == "not enough data: 2400 more running minutes needed"


def test_the_model_in_use_beat_its_baseline_and_keeps_its_rate(floor: Floor) -> None:
    with connect(floor.url) as conn:
        stored = model_registry.in_use(conn, "anomaly_process/M1")
    assert stored is not None
    assert stored.metrics["false_alarm_share"] <= floor.plant.anomalies.false_alarm_share


def test_the_same_training_data_is_the_same_version(floor: Floor) -> None:
    with connect(floor.url) as conn:
        (again,) = train_anomalies(conn, floor.plant, TODAY, "by_hand", ("M1",))
        assert again.version == 1
        assert len(model_registry.versions(conn, "anomaly_process/M1")) == 1
        conn.rollback()


def test_the_ill_hours_are_one_episode_with_sensor_and_hypothesis(floor: Floor) -> None:
    found = floor.rows("detector = 'process' AND episode > 0 AND production_date = '2026-09-14'")
    (ill,) = [row for row in found if row["starts_at"] < ILL_UNTIL and row["ends_at"] > ILL_FROM]
    # Alarms less than half an hour apart are one episode.
    assert ILL_FROM - dt.timedelta(minutes=30) < ill["starts_at"] < ILL_FROM + dt.timedelta(minutes=15)
    assert ILL_UNTIL <= ill["ends_at"] < ILL_UNTIL + dt.timedelta(minutes=30)
    assert ill["severity"] == "high"
    assert json.loads(ill["contributors"])[0]["channel"] == "Vibration_Velocity_mms"
    (said,) = json.loads(ill["hypotheses"])
    assert said["hypothesis"] == "Bearing"
    assert "above its usual" in said["evidence"]


def test_vibration_is_judged_by_class_and_by_its_own_baseline(floor: Floor) -> None:
    total, ill = floor.rows("detector = 'vibration' AND production_date = '2026-09-14'")
    assert (total["vibration_zone"], total["vibration_baseline_mms"]) == ("A", pytest.approx(1.0, abs=0.01))
    assert (ill["vibration_zone"], ill["severity"]) == ("B", "low")  # 2.0 mm/s: a change, not yet a level
    assert json.loads(ill["hypotheses"])[0]["hypothesis"] == "Loose foot"
    assert not floor.rows("detector = 'vibration' AND machine_id = 'M2'")  # it has no limits


def test_the_shift_with_scrap_is_named_with_its_count(floor: Floor) -> None:
    total, bad = floor.rows("detector = 'scrap' AND machine_id = 'M1' AND production_date = '2026-09-14'")
    assert total["piece_count"] == 1200
    assert (bad["shift"], bad["part_number"], bad["reject_count"]) == ("Shift 2", "P1", 30)
    assert json.loads(bad["hypotheses"])[0]["evidence"].startswith("30 of 400 pieces were rejected")


def test_twice_gives_the_same_rows(floor: Floor) -> None:
    before = floor.rows("production_date = '2026-09-14'")
    floor.materialize("2026-09-14")
    assert floor.rows("production_date = '2026-09-14'") == before


def test_readers_of_the_guide_find_their_view(floor: Floor) -> None:
    with connect(floor.url) as conn:
        rows = conn.execute(
            "SELECT severity, scrap_rate_pct, likely_causes->0->>'hypothesis' FROM ml_anomalies"
            " WHERE anomaly_type = 'scrap_anomaly'"
        ).fetchall()
    assert len(rows) == 1
    assert rows[0][0] in ("LOW", "MEDIUM", "HIGH")
    assert rows[0][1:] == (7.5, "Batch")
