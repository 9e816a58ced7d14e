"""Sensors: what happens because something arrived.

Belongs here: looking whether there is work, in milliseconds. The work itself is a job; only the live figures are
computed in the tick, because a run costs five seconds of waiting and a process each time.
See https://docs.dagster.io/guides/automate/sensors
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from typing import TYPE_CHECKING

import dagster as dg

from prodlytics.assets.declare import accepted_betas, asset_key, resolved
from prodlytics.assets.resources import Database, Places
from prodlytics.automation.schedules import key_of
from prodlytics.partitions import production_days

if TYPE_CHECKING:
    from prodlytics.plant.model import Plant


def landed_files(
    plant: Plant, ingest: dg.UnresolvedAssetJobDefinition, entries: dg.JobDefinition
) -> dg.SensorDefinition:
    """Start loading when files have landed, once; those that still wait an hour later are asked for again."""

    def look(
        context: dg.SensorEvaluationContext, database: Database, places: Places
    ) -> dg.SensorResult | dg.SkipReason:
        from prodlytics.sources.landing import pending

        with database.connect() as conn:
            files = pending(plant, places.landing(), conn)
        if not files:
            return dg.SkipReason("No new files.")
        requests = []
        now = dt.datetime.now(dt.UTC)
        said = sorted(f"{file.name}@{file.read_as}" for file in files if file.dataset == "operator_entries")
        made = sorted(f"{file.name}@{file.read_as}" for file in files if file.dataset != "operator_entries")
        if made:
            day = key_of(production_days(plant), now)
            requests.append(dg.RunRequest(run_key=_run_key(made, now), job_name="ingest", partition_key=day))
        if said:
            requests.append(dg.RunRequest(run_key=_run_key(said, now), job_name="ingest_entries"))
        return dg.SensorResult(run_requests=requests)

    with accepted_betas():
        return dg.sensor(
            name="landed_files",
            jobs=[ingest, entries],
            minimum_interval_seconds=30,
            default_status=dg.DefaultSensorStatus.RUNNING,
            description="Files in the landing place that have not been loaded yet.",
        )(resolved(look))


def _run_key(files: list[str], now: dt.datetime) -> str:
    """The same for the same files, so that one run is started; another each hour, should that run have failed."""
    return hashlib.sha256("\n".join([*files, f"{now:%Y-%m-%dT%H}"]).encode()).hexdigest()


def live_figures(plant: Plant) -> dg.SensorDefinition:
    """Keep `live_oee` up; a tick without anything new writes nothing.

    It starts no run: the figures are written in the tick. Its event costs 14 ms and is kept for ever, so the asset is
    reported materialized once an hour, which its freshness policy watches. A tick that finds no database says so and
    the next one tries again; anything else that goes wrong is a defect and fails the tick.
    """

    def look(context: dg.SensorEvaluationContext, database: Database) -> dg.SensorResult | dg.SkipReason:
        import psycopg

        from prodlytics.assets.live_oee import refresh, still_valid
        from prodlytics.db.connect import DatabaseUnavailable

        now = dt.datetime.now(dt.UTC)
        before = json.loads(context.cursor) if context.cursor else {}
        try:
            if still_valid(plant, database, before.get("seen"), now):
                return dg.SkipReason("Nothing new has arrived.")
            refreshed = refresh(plant, database, now)
        except DatabaseUnavailable as error:
            return dg.SkipReason(str(error))
        except psycopg.OperationalError as error:
            said = str(error).strip().splitlines()
            return dg.SkipReason(
                f"The live figures were not computed: {said[0] if said else 'the database went away'}. "
                "The next tick tries again."
            )
        hour = f"{now:%Y-%m-%dT%H}"
        report = dg.AssetMaterialization(asset_key(plant, "live_oee"), metadata=refreshed.numbers())
        return dg.SensorResult(
            skip_reason=dg.SkipReason(refreshed.says()),
            cursor=json.dumps({"seen": refreshed.seen, "hour": hour}),
            asset_events=[] if before.get("hour") == hour else [report],
        )

    with accepted_betas():
        return dg.sensor(
            name="live_oee",
            asset_selection=dg.AssetSelection.assets(asset_key(plant, "live_oee")),
            minimum_interval_seconds=30,
            default_status=dg.DefaultSensorStatus.RUNNING,
            description="Computes the running shift of every machine and writes it to live_oee.",
        )(resolved(look))
