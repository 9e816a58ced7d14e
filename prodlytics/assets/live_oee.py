"""live_oee: the running shift of each machine, computed every 30 seconds.

Belongs here: one snapshot in, one row per machine out, and whether it is kept up. Who calls it every 30 seconds is
`automation/sensors.py`; the arithmetic is `prodlytics.kpi.live_oee`, which calls the functions of the chain.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

from prodlytics.assets.checks import Check, schema_check
from prodlytics.assets.declare import asset_key, dataset_asset, resolved
from prodlytics.assets.resources import Database
from prodlytics.db.queries import sql

if TYPE_CHECKING:
    import pandas as pd
    import psycopg

    from prodlytics.datasets.models import Validation
    from prodlytics.plant.model import Plant

#: A live figure older than this is none.
STALE_AFTER = dt.timedelta(minutes=2)
#: A computation that takes longer hangs; the next one would wait for it.
GIVE_UP_AFTER_S = 25


def live_oee(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""

    @dataset_asset(
        plant,
        "live_oee",
        deps=[
            "machine_telemetry", "production_events", "machine_states", "operator_entries", "work_orders",
            "plan_calendar", "machine_config",
        ],
        checks={},
        partitioned=False,
        pool=False,
    )  # fmt: skip
    def asset(context: dg.AssetExecutionContext, database: Database) -> dg.MaterializeResult[Any]:
        refreshed = refresh(plant, database, dt.datetime.now(dt.UTC))
        return dg.MaterializeResult(
            metadata=refreshed.numbers(), check_results=[schema_check(refreshed.validation).result()]
        )

    return asset


def live_oee_checks(plant: Plant) -> list[dg.AssetChecksDefinition]:
    """Whether the sensor keeps the rows up; run by the hourly chain too, since a dead sensor cannot say so itself."""

    @dg.asset_check(
        asset=asset_key(plant, "live_oee"),
        name="live_is_fresh",
        description="Are the live figures at most two minutes behind the samples that have arrived?",
    )
    @resolved
    def fresh(database: Database) -> dg.AssetCheckResult:
        with database.connect() as conn:
            return is_fresh(conn, dt.datetime.now(dt.UTC)).result()

    return [fresh]


@dataclass(frozen=True)
class Refreshed:
    """What one computation wrote.

    Attributes:
        as_of: How far the figures are told.
        seen: What they were computed from, in short: see `still_valid`.
        validation: The rows, and those that were refused.
    """

    as_of: dt.datetime
    seen: dict[str, str]
    validation: Validation

    def says(self) -> str:
        """For people, in the list of ticks."""
        refused = f" {schema_check(self.validation).says}" if self.validation.problems else ""
        return f"{len(self.validation.good)} machines as of {self.as_of:%Y-%m-%d %H:%M:%S} UTC.{refused}"

    def numbers(self) -> dict[str, Any]:
        """Metadata for the UI."""
        from prodlytics.assets.inputs import percent
        from prodlytics.kpi.oee import roll_up

        rows = self.validation.good
        oee = roll_up(rows, [])["oee"].iloc[0] if len(rows) else None
        return {
            "dagster/row_count": len(rows),
            "as_of": self.as_of.isoformat(),
            "machines_in_a_shift": int(rows["shift"].notna().sum()),
            "machines_running": int((rows["state"] == "running").sum()),
            "plant_oee": percent(float(oee) if oee is not None and oee == oee else None),
        }


def refresh(plant: Plant, database: Database, now: dt.datetime) -> Refreshed:
    """Compute the running shift of every machine and write it, in one transaction.

    Raises:
        DatabaseUnavailable: The database cannot be reached.
        psycopg.OperationalError: It went away meanwhile, or did not answer in time.
    """
    import psycopg

    from prodlytics.datasets.models import validate
    from prodlytics.db.frames import copy_in
    from prodlytics.db.locks import hold_dataset

    with database.connect(autocommit=True) as conn:
        conn.execute(f"SET statement_timeout = '{GIVE_UP_AFTER_S}s'")
        hold_dataset(conn, "live_oee")
        # The chain may write meanwhile: states of before and events of after would not fit.
        conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        with conn.transaction():
            seen = _seen(conn, now)
            computed = compute(conn, plant, now)
            validation = validate("live_oee", computed.rows)
            conn.execute("DELETE FROM live_oee")
            copy_in(conn, "live_oee", validation.good)
    return Refreshed(computed.as_of, {**seen, "until": computed.until.isoformat()}, validation)


@dataclass(frozen=True)
class Computed:
    """The rows of all machines.

    Attributes:
        rows: One per machine, columns of `live_oee`.
        as_of: How far they are told.
        until: The next instant at which a row changes by the clock alone: a shift begins or ends, a silence lasts too
            long.
    """

    rows: pd.DataFrame
    as_of: dt.datetime
    until: dt.datetime


def compute(conn: psycopg.Connection, plant: Plant, now: dt.datetime) -> Computed:
    """The rows as they are at `now`, from one snapshot: the connection is in a transaction."""
    from prodlytics.assets.live_inputs import moment, plan_around, read_known, settled
    from prodlytics.db.ideal_cycles import with_ideal_cycles
    from prodlytics.kpi.live_oee import derive_live_oee, running_shift

    plant = with_ideal_cycles(conn, plant)
    at = moment(conn, plant, now)
    plans = {machine.id: plan_around(plant, machine, now) for machine in plant.machines}
    shifts = {name: running_shift(plan, now) for name, plan in plans.items()}
    starts = settled(conn, plant, shifts, at)
    known = {
        machine.id: read_known(conn, plant, machine, shifts[machine.id], plans[machine.id], starts[machine.id], at)
        for machine in plant.machines
    }
    turns = [plan["ends_at"][plan["ends_at"] > now].min().to_pydatetime() for plan in plans.values()]
    for machine in plant.machines:
        if machine.silence_after_s is not None and machine.id in at.heard:
            turns.append(at.heard[machine.id] + dt.timedelta(seconds=machine.silence_after_s, microseconds=1))
    rows = derive_live_oee(plant, shifts, known, at.until, now, at.as_of)
    return Computed(rows, at.as_of, min(turn for turn in turns if turn > now))


def still_valid(plant: Plant, database: Database, seen: dict[str, str] | None, now: dt.datetime) -> bool:
    """Whether the rows would come out the same: nothing has arrived since, and no shift or silence has begun.

    Raises:
        DatabaseUnavailable: The database cannot be reached.
    """
    if seen is None or now >= dt.datetime.fromisoformat(seen["until"]):
        return False
    with database.connect(autocommit=True) as conn:
        conn.execute(f"SET statement_timeout = '{GIVE_UP_AFTER_S}s'")
        written = conn.execute("SELECT count(*) FROM live_oee").fetchone()
        return written == (len(plant.machines),) and _seen(conn, now) == {
            name: value for name, value in seen.items() if name != "until"
        }


def _seen(conn: psycopg.Connection, now: dt.datetime) -> dict[str, str]:
    """What the rows depend on beside the clock: newest sample of each machine, dirty marks, entries, orders."""
    row = conn.execute(sql("select_live_inputs")).fetchone()
    heard = conn.execute(sql("select_silent_machines"), {"now": now}).fetchall()
    return {
        "inputs": str(row[0]) if row else "",
        "heard": " ".join(f"{machine}@{newest.isoformat()}" for machine, newest in heard),
    }


def is_fresh(conn: psycopg.Connection, now: dt.datetime) -> Check:
    """Whether samples that arrived over two minutes ago are in the live figures."""
    row = conn.execute(sql("select_live_lag"), {"now": now}).fetchone()
    as_of, newer, stored_at = row if row else (None, None, None)
    late = stored_at is not None and now - stored_at > STALE_AFTER
    if as_of is None:
        says = "There are no live figures yet: sensor live_oee has not run. It runs with the Dagster daemon."
    elif late:
        says = (
            f"The live figures stand still at {as_of:%Y-%m-%d %H:%M:%S} UTC, but a sample of {newer:%Y-%m-%d %H:%M:%S} "
            f"has been waiting since {stored_at:%Y-%m-%d %H:%M:%S} UTC. Is the Dagster daemon running, and sensor "
            "live_oee on? Its last tick (Automation in the UI) says what is wrong."
        )
    else:
        says = f"The live figures hold all samples that arrived, up to {as_of:%Y-%m-%d %H:%M:%S} UTC."
    behind = (stored_at is not None and now - stored_at) or dt.timedelta(0)
    return Check("live_is_fresh", not late, says, {"seconds_behind": behind.total_seconds()})
