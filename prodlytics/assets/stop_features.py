"""stop_features: what was known of each machine at the moment it stopped.

Belongs here: which stops, asking the database for all of them at once, and asking for the day after where late data
reaches into it. The columns are put together in `prodlytics.insights`.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import dagster as dg

from prodlytics.assets.checks import Check
from prodlytics.assets.declare import dataset_asset
from prodlytics.assets.derive import Derivation, rederive
from prodlytics.assets.resources import Database
from prodlytics.assets.window import Window

if TYPE_CHECKING:
    import pandas as pd
    import psycopg

    from prodlytics.plant.model import Plant

#: Features look back a day, so what came late for one day may change the stops of the next.
DAY_BEFORE = "what was known of the day before changed"
#: Stops described at once: the answer of the database stays below some 50 MB.
AT_ONCE = 4_000


def stop_features(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""

    @dataset_asset(
        plant,
        "stop_features",
        deps=["downtime_events", "machine_telemetry", "production_events", "machine_states", "operator_entries",
              "work_orders"],
        checks={"sensors_were_heard": "Had the sensors of machines that stopped been heard in the minutes before?"},
    )  # fmt: skip
    def asset(context: dg.AssetExecutionContext, database: Database) -> dg.MaterializeResult[Any]:
        done: list[Window] = []

        def compute(conn: psycopg.Connection, known: Plant, window: Window) -> Derivation:
            done[:] = [window]
            return describe(conn, known, window)

        return rederive(
            context, plant, database, "stop_features", compute,
            after_write=lambda conn, changes, causes: _ask_for_next_day(conn, plant, done[0], causes.together),
        )  # fmt: skip

    return asset


def describe(conn: psycopg.Connection, plant: Plant, window: Window) -> Derivation:
    """The features of all stops that began in the window, one query for each kind of feature."""
    from prodlytics.db.frames import read
    from prodlytics.db.queries import sql
    from prodlytics.insights.stop_features import AT_LEAST_S

    span = {"start": window.start, "end": window.end}
    stops = read(conn, sql("select_stops_to_describe"), {**span, "at_least_s": AT_LEAST_S})
    known = {machine.id for machine in plant.machines}
    stops = stops[stops["machine_id"].isin(known)].reset_index(drop=True)
    rows = features_of(conn, plant, stops, window.as_of)
    silent = rows[(rows["sensors_5min"] == "{}") & (rows["last_values"] == "{}")]
    return Derivation(
        rows,
        "stop_started_at >= %(start)s AND stop_started_at < %(end)s",
        span,
        checks=(_heard(rows, silent),),
        numbers={"stops": len(rows), "stops_without_sensors": len(silent)},
    )


def features_of(conn: psycopg.Connection, plant: Plant, stops: pd.DataFrame, as_of: dt.datetime) -> pd.DataFrame:
    """Rows of `stop_features` for stops as `select_stops_to_describe` gives them."""
    from prodlytics.assets.inputs import together
    from prodlytics.db.frames import read
    from prodlytics.db.queries import sql
    from prodlytics.insights.stop_features import WINDOWS, assemble

    materials = {part.number: part.material for part in plant.parts}
    maintenance = [category.code for category in plant.reasons if category.loss == "planned_stop"]
    pieces = []
    for first in range(0, max(len(stops), 1), AT_ONCE):
        some = stops.iloc[first : first + AT_ONCE]
        asked = {
            "machines": list(some["machine_id"]),
            "starts": [start.to_pydatetime() for start in some["stop_started_at"]],
        }
        found = {
            name: read(conn, sql("select_sensors_before_stops"), {**asked, "seconds": seconds})
            for name, seconds in WINDOWS.items()
        }
        found["last_values"] = read(conn, sql("select_last_values_before_stops"), asked)
        found["history"] = read(conn, sql("select_history_before_stops"), {**asked, "maintenance": maintenance})
        pieces.append(assemble(some, found, materials, as_of))
    return together(pieces)


def _ask_for_next_day(conn: psycopg.Connection, plant: Plant, window: Window, cause: str) -> None:
    """Where something changed in a closed day, the next one is computed again; that one asks for no further day."""
    from prodlytics.db import dirty

    if cause in (DAY_BEFORE, "stop_features recomputed") or window.end >= window.as_of:
        return
    dirty.mark(conn, "stop_features", [(machine.id, window.end) for machine in plant.machines], DAY_BEFORE)


def _heard(rows: pd.DataFrame, silent: pd.DataFrame) -> Check:
    by_machine = silent["machine_id"].value_counts()
    named = ", ".join(f"{machine} ({count})" for machine, count in by_machine.head(5).items())
    return Check(
        "sensors_were_heard",
        silent.empty,
        f"Sensors had been heard before all {len(rows)} stops."
        if silent.empty
        else f"Nothing was heard in the day before {len(silent)} of {len(rows)} stops: {named}. No cause can be read "
        "from sensors there.",
        {"stops": len(rows), "stops_without_sensors": len(silent)},
        warns=True,
    )
