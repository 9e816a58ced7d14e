"""Forecasts in the database: made once a day, judged on what came, told to people."""

from __future__ import annotations

import datetime as dt
from typing import Any

import dagster as dg
import numpy as np
import psycopg
import pytest

from prodlytics.alerts import readings
from prodlytics.assets.resources import Database
from prodlytics.assets.yield_forecasts import yield_forecasts
from prodlytics.db.connect import connect
from prodlytics.plant.calendar import production_day
from prodlytics.plant.model import Plant
from prodlytics_tests.alerts.plants import plant

PLANT = plant()
LAST = dt.date(2026, 11, 10)
DAYS = 60


def fill(conn: psycopg.Connection[Any], of: Plant) -> None:
    """Sixty days of M1 at 93 %, with the noise of counts."""
    needed = conn.execute(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'kpi_rollup'"
        " AND is_nullable = 'NO' AND column_default IS NULL AND is_generated = 'NEVER'"
    ).fetchall()
    rng = np.random.default_rng(3)
    for i in range(DAYS):
        day = LAST - dt.timedelta(days=DAYS - 1 - i)
        start, end = production_day(of, day)
        good = int(rng.binomial(900, 0.93))
        nothing = {"text": "", "boolean": False}
        row: dict[str, Any] = {name: nothing.get(kind, 0) for name, kind in needed}
        row |= {"level": "machine", "member": "M1", "period": "day", "period_start": day, "shift": "", "as_of": end,
                "starts_at": start, "ends_at": end, "good_count": good, "reject_count": 900 - good}  # fmt: skip
        names = ", ".join(row)
        marks = ", ".join(["%s"] * len(row))
        conn.execute(f"INSERT INTO kpi_rollup ({names}) VALUES ({marks})", list(row.values()))


def compute(url: str, *days: dt.date) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        for day in days:
            resources = {"database": Database(url=url)}
            dg.materialize(
                [yield_forecasts(PLANT)], partition_key=day.isoformat(), instance=instance, resources=resources
            )


@pytest.fixture
def filled(plain_database: str) -> str:
    with connect(plain_database) as conn:
        fill(conn, PLANT)
        conn.commit()
    return plain_database


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with connect(url) as conn:
        return conn.execute(query).fetchall()  # type: ignore[arg-type]


def test_any_order_and_twice_give_the_same_and_what_came_stands_beside(filled: str) -> None:
    week = [LAST - dt.timedelta(days=i) for i in range(8)]
    compute(filled, *week)
    query = (
        "SELECT production_date, forecast_date, expected_yield, low_yield, method FROM yield_forecasts ORDER BY 1, 2"
    )
    once = rows(filled, query)
    assert len(once) == 8 * 7
    compute(filled, *reversed(week), LAST)
    assert rows(filled, query) == once
    came = rows(filled, "SELECT count(actual_yield_pct), max(actual_yield_pct) FROM ml_predictions")
    # Of the forecasts of seven days before the last, all but those of days after it have come true.
    assert came[0][0] == 7 + 6 + 5 + 4 + 3 + 2 + 1
    assert 88 < came[0][1] < 98


def test_a_forecast_under_the_target_is_a_reading(filled: str) -> None:
    compute(filled, LAST)
    now = production_day(PLANT, LAST)[1] + dt.timedelta(hours=1)
    with connect(filled, autocommit=True) as conn:
        (found,) = [one for one in readings.slow(conn, PLANT, now) if one.rule == "forecast"]
    assert found.subject == "M1"
    assert found.value == pytest.approx(93, abs=1)
    assert "with 80 % probability" in found.says
