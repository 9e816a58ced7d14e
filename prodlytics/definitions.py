"""Where everything meets, and nothing else happens: assets, checks, jobs, schedules, sensors, resources.

Belongs here: putting the parts of one plant together. Does not belong here: any of the parts. Loading it reads the
plant file and nothing else: no database, no network, no secrets.
"""

from __future__ import annotations

import os
from typing import Any

import dagster as dg

from prodlytics.assets.anomaly_scores import anomaly_scores
from prodlytics.assets.archive import archive_assets
from prodlytics.assets.audit_trail import audit_trail, audit_trail_checks
from prodlytics.assets.backup import backup
from prodlytics.assets.daily_report import daily_report
from prodlytics.assets.data_quality import data_quality
from prodlytics.assets.downtime_causes import downtime_causes
from prodlytics.assets.downtime_events import downtime_events
from prodlytics.assets.ideal_cycles import ideal_cycles
from prodlytics.assets.kpi_rollup import kpi_rollup
from prodlytics.assets.live_oee import live_oee, live_oee_checks
from prodlytics.assets.losses import losses
from prodlytics.assets.machine_config import machine_config
from prodlytics.assets.machine_states import machine_states
from prodlytics.assets.machine_telemetry import machine_telemetry
from prodlytics.assets.machine_time import machine_time
from prodlytics.assets.model_registry import model_registry
from prodlytics.assets.oee_hourly import oee_hourly
from prodlytics.assets.oee_shift import oee_shift
from prodlytics.assets.operator_entries import operator_entries, operator_entries_checks
from prodlytics.assets.part_costs import part_costs
from prodlytics.assets.plan_calendar import plan_calendar
from prodlytics.assets.production_events import production_events
from prodlytics.assets.reason_codes import reason_codes
from prodlytics.assets.reconciliation import reconciliation
from prodlytics.assets.resources import Database, Places
from prodlytics.assets.retention import retention
from prodlytics.assets.scrap_events import scrap_events
from prodlytics.assets.sensor_delivery import sensor_delivery
from prodlytics.assets.sources import source_checks
from prodlytics.assets.stop_features import stop_features
from prodlytics.assets.work_orders import work_orders
from prodlytics.assets.yield_forecasts import yield_forecasts
from prodlytics.automation import alerting, jobs, schedules, sensors
from prodlytics.plant.load import load_plant
from prodlytics.plant.model import Plant
from prodlytics.settings import Settings

#: Assets in the order data flows; a new dataset is one file in `assets/` and one name here.
ASSETS = (
    machine_config,
    reason_codes,
    plan_calendar,
    machine_telemetry,
    work_orders,
    part_costs,
    ideal_cycles,
    production_events,
    machine_states,
    downtime_events,
    scrap_events,
    machine_time,
    oee_hourly,
    oee_shift,
    kpi_rollup,
    losses,
    data_quality,
    reconciliation,
    live_oee,
    sensor_delivery,
    stop_features,
    model_registry,
    downtime_causes,
    anomaly_scores,
    yield_forecasts,
    daily_report,
    retention,
    backup,
)


def build_defs(*, plant: Plant | None = None, **overrides: Any) -> dg.Definitions:
    """The code location of one plant.

    Args:
        plant: The plant; without it the file that PRODLYTICS_PLANT names, else the demo plant.
        **overrides: Resources to use instead of the default ones, by name (`database`, `places`).

    Raises:
        PlantFileError: The plant file is wrong, or the variable of a channel is not set; the text says in which line.
    """
    plant = plant or load_plant(Settings().plant, os.environ)
    chain, ingest, close_day = jobs.chain_job(plant), jobs.ingest_job(plant), jobs.close_day_job(plant)
    insights, training = jobs.insights_job(plant), jobs.training_job(plant)
    entries, pruning = jobs.ingest_entries_job(plant), jobs.prune_history_job()
    asked = jobs.ask_source_job(plant) if plant.connections else None
    letting_go, backing_up = jobs.retention_job(plant), jobs.backup_job(plant)
    return dg.Definitions(
        assets=[
            *(declare(plant) for declare in ASSETS),
            operator_entries(plant),
            audit_trail(plant),
            *archive_assets(plant),
        ],
        asset_checks=[
            *operator_entries_checks(plant),
            *audit_trail_checks(plant),
            *live_oee_checks(plant),
            *source_checks(plant),
        ],
        jobs=[
            chain,
            ingest,
            insights,
            training,
            close_day,
            entries,
            pruning,
            letting_go,
            backing_up,
            *([asked] if asked else []),
        ],
        schedules=[
            schedules.hourly_chain(plant, chain),
            schedules.hourly_insights(plant, insights),
            schedules.daily_close(plant, close_day),
            schedules.weekly_training(plant, training),
            schedules.asked_for_training(plant, training),
            schedules.nightly_pruning(plant, pruning),
            schedules.nightly_retention(plant, letting_go),
            schedules.weekly_backup(plant, backing_up),
            *(schedules.asking(plant, asked) if asked else []),
        ],
        sensors=[
            sensors.landed_files(plant, ingest, entries),
            sensors.live_figures(plant),
            alerting.alert_rules(plant),
            alerting.alert_dagster(plant),
            alerting.alert_delivery(plant),
        ],
        resources={"database": Database(), "places": Places(), **overrides},
        # A subprocess per step costs an interpreter and all imports: 18 s instead of 0.7 s for a chain of three.
        executor=dg.in_process_executor,
    )


defs = build_defs()
