"""Jobs: what is computed together.

Belongs here: selections of assets and the two jobs that are not assets. Does not belong here: when they run
(`schedules.py`, `sensors.py`). See https://docs.dagster.io/guides/build/jobs
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import dagster as dg

from prodlytics.assets.declare import asset_key, resolved
from prodlytics.assets.resources import Database, Places
from prodlytics.assets.sources import SOURCED, answers, ask
from prodlytics.datasets.registry import DATASETS, DERIVED, INSIGHTS, ON_CLOSE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prodlytics.plant.model import Plant

#: Runs older than this go, but for the newest successful one of each partition.
KEEP_RUNS_DAYS = 30

_PARTITION_TAGS = ("dagster/partition", "dagster/asset_partition_range_start", "dagster/asset_partition_range_end")

#: Everything from raw to OEE, the running day included.
CHAIN = (
    "machine_config",
    "reason_codes",
    "machine_telemetry",
    "work_orders",
    "part_costs",
    "ideal_cycles",
    *DERIVED,
)


def _keys(plant: Plant, names: Iterable[str]) -> dg.AssetSelection:
    return dg.AssetSelection.assets(*(asset_key(plant, name) for name in names))


def _job(plant: Plant, name: str, selection: dg.AssetSelection, description: str) -> dg.UnresolvedAssetJobDefinition:
    return dg.define_asset_job(
        name, selection=selection, description=description, tags={"prodlytics/plant": plant.plant}
    )


def chain_job(plant: Plant) -> dg.UnresolvedAssetJobDefinition:
    """Raw to OEE for a production day."""
    # Somebody other than the sensor has to look whether it keeps the live figures up.
    fresh = dg.AssetSelection.checks(dg.AssetCheckKey(asset_key(plant, "live_oee"), "live_is_fresh"))
    what = "From landed files to hourly OEE, for one production day or many in one run."
    return _job(plant, "chain", _keys(plant, CHAIN) | fresh, what)


def ingest_job(plant: Plant) -> dg.UnresolvedAssetJobDefinition:
    """Load what has landed."""
    landed = _keys(plant, ("machine_telemetry", "work_orders", "part_costs", "ideal_cycles"))
    return _job(plant, "ingest", landed, "Loads landed files; what they change is derived by the next chain.")


def insights_job(plant: Plant) -> dg.UnresolvedAssetJobDefinition:
    """Causes and what else models say of a production day; apart from the chain, so that no model delays a KPI."""
    return _job(plant, "insights", _keys(plant, INSIGHTS), "What was known of each stop, and its likely cause.")


def training_job(plant: Plant) -> dg.UnresolvedAssetJobDefinition:
    """Train all models on the latest 90 days."""
    what = "Trains, judges on later days beside baseline and the version in use, promotes what is better."
    return _job(plant, "train_models", _keys(plant, ("model_registry",)), what)


def close_day_job(plant: Plant) -> dg.UnresolvedAssetJobDefinition:
    """Sensors, report and archive for a closed production day."""
    archived = [f"archive/{dataset.name}" for dataset in DATASETS.values() if dataset.archived]
    external = (asset_key(plant, "operator_entries"), asset_key(plant, "audit_trail"))
    selection = _keys(plant, [*ON_CLOSE, *archived]) | dg.AssetSelection.checks_for_assets(*external)
    return _job(plant, "close_day", selection, "The daily report and the archive of a production day that is over.")


def retention_job(plant: Plant) -> dg.UnresolvedAssetJobDefinition:
    """Let archived days go."""
    what = "Old days that are archived and verified leave the hot tables; launch it with dry_run to look."
    return _job(plant, "let_archived_days_go", _keys(plant, ["retention"]), what)


def backup_job(plant: Plant) -> dg.UnresolvedAssetJobDefinition:
    """Back up what the archive does not hold."""
    what = "Dumps the tables to the archive's place and restores them into a scratch database to prove it."
    return _job(plant, "weekly_backup", _keys(plant, ["backup"]), what)


def ingest_entries_job(plant: Plant) -> dg.JobDefinition:
    """Load landed operator entries and say so on their (external) asset."""
    key = asset_key(plant, "operator_entries")

    @dg.op(description="Loads landed operator entries; each row is stored once, whatever the number of tries.")
    @resolved
    def load_operator_entries(context: dg.OpExecutionContext, database: Database, places: Places) -> None:
        from prodlytics.assets.landed import load

        numbers = load(plant, database, places, "operator_entries")
        context.log_event(dg.AssetMaterialization(key, metadata=numbers))

    @dg.job(
        name="ingest_entries",
        description="What people said, from landed files.",
        tags={"prodlytics/plant": plant.plant},
        executor_def=dg.in_process_executor,
    )
    def ingest_entries() -> None:
        load_operator_entries()

    return ingest_entries


class AskedSource(dg.Config):
    """Which connection of the plant file to ask."""

    connection: str


def ask_source_job(plant: Plant) -> dg.JobDefinition:
    """Ask one of the plant's connections, say what came of it on the assets it feeds, and check them."""

    @dg.op(description="Asks a system of plant.yaml for what has changed; read again after an overlap, stored once.")
    @resolved
    def ask_connection(context: dg.OpExecutionContext, config: AskedSource, database: Database) -> None:
        report = ask(plant, database, config.connection, dt.datetime.now(dt.UTC))
        for problem in report.problems:
            context.log.warning(problem)
        for dataset, numbers in report.numbers().items():
            context.log_event(dg.AssetMaterialization(asset_key(plant, dataset), metadata=numbers))
        for dataset in SOURCED:
            found = answers(plant, database, dataset)
            severity = dg.AssetCheckSeverity.WARN if found.warns else dg.AssetCheckSeverity.ERROR
            # The typed events of an op are materializations and observations only.
            context.instance.report_runless_asset_event(
                dg.AssetCheckEvaluation(
                    asset_key(plant, dataset),
                    found.name,
                    bool(found.passed),
                    description=found.says,
                    severity=severity,
                )
            )

    @dg.job(
        name="ask_source",
        description="Orders, costs, reasons and figures from a system that is not ours.",
        tags={"prodlytics/plant": plant.plant},
        executor_def=dg.in_process_executor,
    )
    def ask_source() -> None:
        # Another name than the job's: a code location in which an op and a job share one does not load.
        ask_connection()

    return ask_source


def prune_history_job() -> dg.JobDefinition:
    """Delete old runs and their events: Dagster itself keeps them for ever (300 MB a day at 30 assets each 5 min)."""

    @dg.op(description=f"Deletes runs older than {KEEP_RUNS_DAYS} days, but for the newest success of each partition.")
    @resolved
    def prune_runs(context: dg.OpExecutionContext) -> None:
        deleted = prune_runs_before(
            context.instance, dt.datetime.now(dt.UTC) - dt.timedelta(days=KEEP_RUNS_DAYS), context.run_id
        )
        context.log.info(f"{deleted} runs deleted")

    @dg.job(name="prune_history", description="Keeps Dagster's database small.", executor_def=dg.in_process_executor)
    def prune_history() -> None:
        prune_runs()

    return prune_history


def prune_runs_before(instance: dg.DagsterInstance, cutoff: dt.datetime, but: str = "") -> int:
    """Delete finished runs created before `cutoff`, except the newest success for each job and partition.

    That newest run carries the materialization which tells the UI that the partition exists.

    Returns:
        How many were deleted.
    """
    finished = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
    kept: set[tuple[str, str]] = set()
    doomed: list[str] = []
    cursor: str | None = None
    # All pages first: the cursor of the next page is a run that must still exist.
    while page := instance.get_run_records(dg.RunsFilter(statuses=finished), limit=200, cursor=cursor, ascending=False):
        cursor = page[-1].dagster_run.run_id
        for record in page:
            run = record.dagster_run
            what = "|".join(f"{name}={run.tags[name]}" for name in _PARTITION_TAGS if name in run.tags)
            is_newest = run.status == dg.DagsterRunStatus.SUCCESS and (run.job_name, what) not in kept
            if is_newest:
                kept.add((run.job_name, what))
            elif record.create_timestamp < cutoff and run.run_id != but:
                doomed.append(run.run_id)
    for run_id in doomed:
        instance.delete_run(run_id)
    return len(doomed)
