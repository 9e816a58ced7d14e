"""The guide's hourly OEE loop, as close to the guide as it can run.

Belongs here: one connection, three reads into frames and row-by-row inserts for every hour. Different from the guide
only where it could not run here: psycopg 3 under pandas, our table and column names, no alert mails.
"""

from __future__ import annotations

import datetime as dt
import warnings

import pandas as pd
import psycopg

HOUR = dt.timedelta(hours=1)


def prepare(url: str) -> None:
    """The table the guide writes."""
    with psycopg.connect(url) as conn:
        conn.execute(
            "CREATE TABLE guide_oee_hourly (time_bucket timestamptz, machine_id text, availability numeric,"
            " performance numeric, quality numeric, oee numeric, good_count int, reject_count int,"
            " planned_time_min double precision, run_time_min double precision, PRIMARY KEY (time_bucket, machine_id))"
        )


def calculate_hour(url: str, hour: dt.datetime) -> int:
    """One hour of all machines; returns how many rows it made."""
    ends = hour + HOUR
    with warnings.catch_warnings():
        # pandas would rather have SQLAlchemy.
        warnings.simplefilter("ignore", UserWarning)
        conn = psycopg.connect(url)
        span = {"from": hour, "to": ends}
        production = pd.read_sql(
            "SELECT machine_id, sum(good_count) AS good, sum(reject_count) AS reject, avg(cycle_time_ms) AS cycle"
            " FROM production_events WHERE event_type IN ('cycle_complete', 'reject') AND time >= %(from)s"
            " AND time < %(to)s GROUP BY machine_id",
            conn, params=span,
        )  # fmt: skip
        downtime = pd.read_sql(
            "SELECT machine_id, sum(extract(epoch FROM least(time_end, %(to)s) - greatest(time_start, %(from)s)) / 60)"
            " AS minutes FROM downtime_events WHERE time_start < %(to)s AND (time_end IS NULL OR time_end > %(from)s)"
            " GROUP BY machine_id",
            conn, params=span,
        )  # fmt: skip
        config = pd.read_sql("SELECT machine_id, ideal_cycle_time_ms FROM machine_config", conn)
    cursor = conn.cursor()
    for _, row in production.iterrows():
        good, reject = int(row["good"]), int(row["reject"])
        stopped = downtime[downtime["machine_id"] == row["machine_id"]]
        minutes = float(stopped["minutes"].iloc[0]) if not stopped.empty else 0.0
        run = max(60 - minutes, 0)
        ideal = config[config["machine_id"] == row["machine_id"]]
        cycle = float(ideal["ideal_cycle_time_ms"].iloc[0]) if not ideal.empty else row["cycle"]
        performance = min(cycle / 60000 * (good + reject) / run if run > 0 else 0, 1.0)
        quality = good / (good + reject) if good + reject else 0
        cursor.execute(
            "INSERT INTO guide_oee_hourly VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (hour, row["machine_id"], round(run / 60, 4), round(performance, 4), round(quality, 4),
             round(run / 60 * performance * quality, 4), good, reject, 60, round(run, 1)),
        )  # fmt: skip
    conn.commit()
    conn.close()
    return len(production)
