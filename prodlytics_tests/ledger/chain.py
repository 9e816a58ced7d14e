"""The real assets of the chain, without a Dagster run around each: a hundred times in a test.

Belongs here: materializing assets of a plant over production days in a database, loading what they read. Does not
belong here: expectations. That the same functions run under Dagster is shown end to end.
"""

from __future__ import annotations

import datetime as dt
import importlib
import uuid
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import dagster as dg
import psycopg

from prodlytics.assets.resources import Database
from prodlytics.datasets.registry import DATASETS, DERIVED
from prodlytics.db import dirty
from prodlytics.db.frames import copy_in
from prodlytics.plant.calendar import production_date_of, production_day
from prodlytics.plant.model import Plant

CHAIN = DERIVED
#: What the ledger is made of, from the states on.
FROM_STATES = ("downtime_events", "machine_time", "oee_hourly", "oee_shift")
HOUR = dt.timedelta(hours=1)


class Chain:
    """Assets of one plant against one database."""

    def __init__(self, plant: Plant, url: str) -> None:
        self.plant = plant
        self.database = Database(url=url)

    def derive(self, first: dt.date, last: dt.date | None = None, names: Sequence[str] = CHAIN) -> None:
        """Materialize assets over production days, in the order of the chain."""
        for name in names:
            self.one(name, first, last or first)

    def one(self, name: str, first: dt.date, last: dt.date) -> dg.MaterializeResult[Any]:
        """Materialize one asset over production days."""
        asset = getattr(importlib.import_module(f"prodlytics.assets.{name}"), name)(self.plant)
        window = dg.TimeWindow(production_day(self.plant, first)[0], production_day(self.plant, last)[1])
        context = SimpleNamespace(partition_time_window=window, run=SimpleNamespace(run_id=str(uuid.uuid4())))
        return asset.op.compute_fn.decorated_fn(context, self.database)

    def dirty_days(self, names: Sequence[str] = DERIVED) -> list[dt.date]:
        """Production days with dirty marks of these datasets, in order."""
        with self.database.connect() as conn:
            quarters = dirty.times(conn, names)
        return sorted({production_date_of(self.plant, quarter) for quarter in quarters})

    def heal(self, names: Sequence[str] = CHAIN, rounds: int = 5) -> None:
        """What the schedule does: compute days with marks until there are none."""
        derived = [name for name in names if name in DERIVED]
        for _ in range(rounds):
            days = self.dirty_days(derived)
            if not days:
                return
            for day in days:
                self.derive(day, names=names)
        assert self.dirty_days(derived) == [], "marks are left"

    def rows(self, name: str, *, without: Sequence[str] = ("as_of",)) -> list[tuple[Any, ...]]:
        """A dataset's rows in order of its key."""
        dataset = DATASETS[name]
        columns = ", ".join(column for column in dataset.columns if column not in without)
        with psycopg.connect(self.database.address()) as conn:
            conn.execute("SET timezone = 'UTC'")
            return conn.execute(f"SELECT {columns} FROM {name} ORDER BY {', '.join(dataset.key)}").fetchall()

    def tables(self, names: Sequence[str] = CHAIN) -> dict[str, list[tuple[Any, ...]]]:
        """Datasets as they are."""
        return {name: self.rows(name) for name in names}

    def put(self, table: str, frame: Any) -> None:
        """Rows straight into a table."""
        with self.database.connect() as conn, conn.transaction():
            copy_in(conn, table, frame)

    def empty(self) -> None:
        """A database as new."""
        tables = (
            "machine_states, production_events, plan_calendar, downtime_events, scrap_events, machine_time, oee_hourly,"
            " oee_shift, restatements, dirty_mark, arrival, quarantine, operator_entries, work_orders,"
            " telemetry_sample, tag, reason_codes, landed_file, plant_settings, settings_change"
        )
        with psycopg.connect(self.database.address()) as conn:
            # Replication mode: the trigger that keeps entries append-only is not what is tested here.
            conn.execute("SET session_replication_role = replica")
            conn.execute(f"TRUNCATE {tables}")
