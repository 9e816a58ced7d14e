"""A few days of scrap and telemetry in a database, and what every archive test asks of them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import duckdb
import psycopg

from prodlytics.archive.store import ArchiveStore
from prodlytics.archive.write import ArchiveResult, Day, archive_day
from prodlytics.datasets.registry import DATASETS

FIRST = dt.date(2026, 11, 20)
CODE = "test"


def day(number: int = 0) -> Day:
    """Production days from 06:00 in Chicago, in winter 12:00 UTC."""
    start = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC) + dt.timedelta(days=number)
    return Day(FIRST + dt.timedelta(days=number), start, start + dt.timedelta(days=1))


def add_scrap(conn: psycopg.Connection, number: int, rows: int, *, machine: str = "M1", cost: str = "1.25") -> None:
    """`rows` pieces of scrap, one a minute from the start of the day on."""
    conn.execute(
        """
        INSERT INTO scrap_events (time, machine_id, event_key, quantity, scrap_reason, material_cost, currency,
                                  production_date, as_of)
        SELECT %(start)s + i * interval '1 minute', %(machine)s, 'k', 1 + i %% 3,
               CASE WHEN i %% 2 = 0 THEN 'burr' END, %(cost)s::numeric * i, 'USD', %(date)s, %(start)s
        FROM generate_series(0, %(rows)s - 1) i
        """,
        {
            "start": day(number).start,
            "date": day(number).production_date,
            "machine": machine,
            "cost": cost,
            "rows": rows,
        },
    )
    conn.commit()


def archive(
    conn: psycopg.Connection, store: ArchiveStore, number: int = 0, dataset: str = "scrap_events"
) -> ArchiveResult:
    """Archive one day the way the asset does."""
    one = day(number)
    result = archive_day(conn, store, "small", DATASETS[dataset], one.production_date, one.start, one.end, CODE)
    conn.commit()
    return result


def manifest(conn: psycopg.Connection, dataset: str = "scrap_events") -> list[tuple[Any, ...]]:
    """date, version, is_current, path of every version."""
    return conn.execute(
        "SELECT production_date, version, is_current, path FROM archive_manifest WHERE dataset = %s ORDER BY 1, 2",
        (dataset,),
    ).fetchall()


def duck(folder: Path, query: str, dataset: str = "scrap_events") -> list[tuple[Any, ...]]:
    """Ask DuckDB; `{files}` is every day of the dataset, as anybody would glob it."""
    files = f"read_parquet('{folder}/plant=*/dataset={dataset}/date=*/*.parquet', hive_partitioning = true)"
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        return db.execute(query.format(files=files)).fetchall()
