"""The chain at any instant: the assets' own computations and writes, with a clock that a test sets.

Belongs here: letting samples arrive by and by, running the chain as if it were then. Does not belong here: assertions.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import psycopg

from prodlytics.assets import (
    downtime_events,
    machine_states,
    machine_time,
    oee_hourly,
    oee_shift,
    plan_calendar,
    production_events,
)
from prodlytics.assets.derive import _replace_piece
from prodlytics.assets.window import make_window
from prodlytics.db import dirty
from prodlytics.db.frames import read
from prodlytics.db.queries import sql
from prodlytics.kpi.oee import ELEMENTS, roll_up
from prodlytics.plant.calendar import production_date_of, production_day
from prodlytics.plant.model import Plant

#: What is derived in telling the OEE of a shift, in order.
STEPS = {
    "plan_calendar": plan_calendar,
    "production_events": production_events,
    "machine_states": machine_states,
    "downtime_events": downtime_events,
    "machine_time": machine_time,
    "oee_hourly": oee_hourly,
    "oee_shift": oee_shift,
}


def run_chain(conn: psycopg.Connection[Any], plant: Plant, now: dt.datetime, days: int = 0) -> None:
    """The chain as the hourly schedule asks for it at `now`: the day of two hours ago and the running one.

    Args:
        conn: In a transaction, or not.
        plant: The plant.
        now: What the clock shows.
        days: Production days before these to compute first.
    """
    first = production_date_of(plant, now - dt.timedelta(hours=2)) - dt.timedelta(days=days)
    last = production_date_of(plant, now)
    for number in range((last - first).days + 1):
        start, end = production_day(plant, first + dt.timedelta(days=number))
        row = conn.execute(sql("select_watermark"), {"now": now}).fetchone()
        window = make_window(start, end, now, row[0] if row else None)
        for name, module in STEPS.items():
            with conn.transaction():
                _replace_piece(conn, plant, name, window, module._compute, None)


def hold_back(conn: psycopg.Connection[Any]) -> None:
    """Take all samples away; `arrive` gives them back as time goes on."""
    conn.execute("CREATE TABLE to_come AS SELECT * FROM telemetry_sample")
    conn.execute("CREATE INDEX ON to_come (time)")
    conn.execute("DELETE FROM telemetry_sample")
    conn.execute("DELETE FROM dirty_mark")


def arrive(conn: psycopg.Connection[Any], until: dt.datetime, where: str = "true") -> None:
    """Samples up to `until` arrive, and leave their marks as the loader does."""
    rows = conn.execute(
        "WITH moved AS (DELETE FROM to_come c USING tag t WHERE t.tag_id = c.tag_id AND c.time <= %s"
        f" AND {where} RETURNING c.*)"
        ", stored AS (INSERT INTO telemetry_sample SELECT * FROM moved RETURNING tag_id, time)"
        " SELECT DISTINCT machine_id, date_bin('15 minutes', time, '2000-01-01 00:00+00')"
        " FROM stored JOIN tag USING (tag_id)",
        (until,),
    ).fetchall()
    for dataset in ("machine_states", "production_events"):
        dirty.mark(conn, dataset, rows, "arrived")


def shift_sums(conn: psycopg.Connection[Any], plant: Plant, live: pd.DataFrame) -> pd.DataFrame:
    """For each row of live figures the elements and ratios of its shift, summed over what `oee_shift` holds."""
    stored = read(conn, "SELECT * FROM oee_shift WHERE shift <> ''")
    names = list(ELEMENTS)
    sums = []
    for row in live.to_dict("records"):
        own = stored[
            (stored["machine_id"] == row["machine_id"])
            & (stored["shift"] == row["shift"])
            & (stored["production_date"] == row["production_date"])
        ]
        nothing = pd.DataFrame({name: [0.0] for name in names})
        sums.append(roll_up(own[names] if len(own) else nothing, [], plant.convention))
    return pd.concat(sums, ignore_index=True)
