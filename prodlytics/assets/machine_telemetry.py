"""machine_telemetry: what the machines said.

Belongs here: loading landed files (whatever days they hold: late rows mark their hours dirty) and looking at the feeds.
Reading the formats is `prodlytics.formats`, storing the samples `prodlytics.db`.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import dagster as dg

from prodlytics.assets.checks import Check
from prodlytics.assets.declare import dataset_asset
from prodlytics.assets.landed import balance, load
from prodlytics.assets.resources import Database, Places

if TYPE_CHECKING:
    import psycopg

    from prodlytics.plant.model import Plant


def machine_telemetry(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""

    @dataset_asset(
        plant,
        "machine_telemetry",
        checks={
            "rows_are_accounted_for": "Is every row of every file stored, quarantined or a duplicate?",
            "feeds_are_alive": "Is the newest event of every machine recent?",
            "few_rows_are_quarantined": "Is nearly everything that comes in usable?",
            "files_are_claimed": "Does the plant file say of every landed file what it is?",
        },
        pool=False,
    )
    def asset(context: dg.AssetExecutionContext, database: Database, places: Places) -> dg.MaterializeResult[Any]:
        numbers = load(plant, database, places, "machine_telemetry")
        window = context.partition_time_window
        with database.connect() as conn:
            checks = [*_look(conn, plant, window.start, window.end), _claimed(plant, places)]
            count = _count(conn, window.start, window.end)
        return dg.MaterializeResult(
            metadata={"dagster/row_count": count, **numbers}, check_results=[check.result() for check in checks]
        )

    return asset


def _count(conn: psycopg.Connection, start: dt.datetime, end: dt.datetime) -> int:
    from prodlytics.db.queries import sql

    row = conn.execute(sql("count_samples"), {"start": start, "end": end}).fetchone()
    return int(row[0]) if row else 0


def _look(conn: psycopg.Connection, plant: Plant, start: dt.datetime, end: dt.datetime) -> list[Check]:
    from prodlytics.assets.checks import schema_check
    from prodlytics.datasets.models import validate
    from prodlytics.db.frames import read
    from prodlytics.db.queries import sql

    # The whole window can be millions of rows, each checked on its way in: the shape is looked at on the newest.
    newest = read(conn, sql("select_newest_samples"), {"start": start, "end": end})
    accounted = balance(conn, "machine_telemetry")
    return [
        schema_check(validate("machine_telemetry", newest)),
        accounted,
        _alive(conn, plant, end),
        _usable(accounted),
    ]


def _alive(conn: psycopg.Connection, plant: Plant, end: dt.datetime) -> Check:
    from prodlytics.db.queries import sql

    now = min(dt.datetime.now(dt.UTC), end.astimezone(dt.UTC))
    newest: dict[str, dt.datetime] = dict(conn.execute(sql("select_silent_machines"), {"now": now}).fetchall())
    limit = dt.timedelta(minutes=plant.thresholds.feed_silent_min)
    expected = [machine for machine in plant.machines if machine.state.source != "operator"]
    silent = [
        f"{machine.id} (last heard {newest[machine.id]:%Y-%m-%d %H:%M} UTC)"
        if machine.id in newest
        else f"{machine.id} (never heard)"
        for machine in expected
        if machine.id not in newest or now - newest[machine.id] > limit
    ]
    return Check(
        "feeds_are_alive",
        not silent,
        f"Silent for more than {plant.thresholds.feed_silent_min:g} minutes at {now:%Y-%m-%d %H:%M} UTC: "
        + ", ".join(silent)
        + ". Look at the PLC driver, KEPServerEX and the broker, in this order."
        if silent
        else f"All {len(expected)} machines were heard within {plant.thresholds.feed_silent_min:g} minutes.",
        {"machines_silent": len(silent), "machines": len(expected)},
    )


def _claimed(plant: Plant, places: Places) -> Check:
    from prodlytics.sources.landing import unclaimed

    strange = unclaimed(plant, places.landing())
    return Check(
        "files_are_claimed",
        not strange,
        f"Nobody will load {len(strange)} landed files, e.g. {', '.join(strange[:5])}: write under `landing` in the "
        "plant file what they are, or take them away."
        if strange
        else "Every landed file has a format.",
        {"files_unclaimed": len(strange)},
        warns=True,
    )


def _usable(accounted: Check) -> Check:
    rows_in = accounted.numbers["rows_in"]
    part = accounted.numbers["rows_quarantined"] / rows_in if rows_in else 0.0
    return Check(
        "few_rows_are_quarantined",
        part <= 0.01,
        f"{part:.3%} of all rows that came in were quarantined; table quarantine has each with its reason.",
        {"share_quarantined": part},
        warns=True,
    )
