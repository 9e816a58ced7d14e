"""Sensors: what starts a run because something arrived.

Belongs here: looking whether there is work, in milliseconds. The work itself is a job.
See https://docs.dagster.io/guides/automate/sensors
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING

import dagster as dg

from prodlytics.assets.declare import accepted_betas, resolved
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
