"""Schedules: when jobs run.

Belongs here: cron lines in the plant's zone and which production days a tick asks for. A missed tick is not replayed
by Dagster (only the last one is), so each tick also asks for every day that has dirty marks: an outage heals itself.
See https://docs.dagster.io/guides/automate/schedules
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import dagster as dg

from prodlytics.assets.declare import resolved
from prodlytics.assets.resources import Database
from prodlytics.datasets.registry import DERIVED, INSIGHTS, ON_CLOSE
from prodlytics.partitions import production_days

if TYPE_CHECKING:
    from prodlytics.plant.model import Plant

#: A tick also asks for the day of two hours ago, so that a day is finished after it closes.
LOOK_BACK = dt.timedelta(hours=2)
#: Days healed in one tick; a larger backlog takes several.
HEAL_AT_ONCE = 20


def hourly_chain(plant: Plant, job: dg.UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition:
    """The chain every hour at minute 2: the running day, the one just closed, and every day with dirty marks."""
    return _hourly(
        plant,
        job,
        "hourly_chain",
        "2 * * * *",
        "Running production day and every day that late data made dirty.",
        lambda database, tick: dirty_days(plant, database, DERIVED) | unfinished_days(plant, database, tick),
    )


def hourly_insights(plant: Plant, job: dg.UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition:
    """Insights every hour at minute 12, after the chain: the running day, the one just closed, and marked days."""
    return _hourly(
        plant,
        job,
        "hourly_insights",
        "12 * * * *",
        "Features and causes of the stops of the running day, and of days that changed.",
        lambda database, _: dirty_days(plant, database, INSIGHTS),
    )


def _hourly(
    plant: Plant,
    job: dg.UnresolvedAssetJobDefinition,
    name: str,
    cron: str,
    description: str,
    healed: Callable[[Database, dt.datetime], set[str]],
) -> dg.ScheduleDefinition:
    """The days of tick and tick minus `LOOK_BACK`, after the days that `healed` names."""

    @dg.schedule(
        name=name,
        job=job,
        cron_schedule=cron,
        execution_timezone=plant.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=description,
    )
    @resolved
    def hourly(context: dg.ScheduleEvaluationContext, database: Database) -> list[dg.RunRequest]:
        tick = context.scheduled_execution_time
        days = production_days(plant)
        wanted = {key for key in (key_of(days, moment) for moment in (tick - LOOK_BACK, tick)) if key is not None}
        return requests([*sorted(healed(database, tick) - wanted)[-HEAL_AT_ONCE:], *sorted(wanted)], tick)

    return hourly


def weekly_training(plant: Plant, job: dg.UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition:
    """Training on Sunday at 04:30, away from the hour in which clocks change."""
    return _cron(
        plant,
        job,
        "weekly_training",
        "30 4 * * 0",
        "Trains all models on the latest 90 days.",
        training_config(plant, "schedule"),
    )


def asked_for_training(plant: Plant, job: dg.UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition:
    """Training between Sundays where something asks for it: a new machine or part, answers that do not come true."""

    @dg.schedule(
        name="asked_for_training",
        job=job,
        cron_schedule="45 4 * * 1-6",
        execution_timezone=plant.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Looks each morning whether a model has to be trained before Sunday.",
    )
    @resolved
    def asked(context: dg.ScheduleEvaluationContext, database: Database) -> dg.RunRequest | dg.SkipReason:
        from prodlytics.assets.training_triggers import triggers

        tick = context.scheduled_execution_time
        with database.connect() as conn:
            found = triggers(conn, tick)
        if not found:
            return dg.SkipReason("No new machine or part, and the answers came true.")
        return dg.RunRequest(
            run_key=tick.date().isoformat(), run_config=training_config(plant, ", ".join(sorted(found)))
        )

    return asked


def training_config(plant: Plant, trigger: str) -> dict[str, Any]:
    """Run configuration of the training job."""
    return {"ops": {f"{plant.plant}__model_registry": {"config": {"trigger": trigger}}}}


def daily_close(plant: Plant, job: dg.UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition:
    """Report and archive of the day that ended, once its last shift is in."""
    boundary = dt.datetime.combine(plant.first_day, plant.day_boundary)
    at = boundary + dt.timedelta(minutes=plant.report_after_boundary_min)

    @dg.schedule(
        name="daily_close",
        job=job,
        cron_schedule=f"{at.minute} {at.hour} * * *",
        execution_timezone=plant.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=(
            f"{plant.report_after_boundary_min} minutes after the production day ends (report_after_boundary_min in "
            "the plant file). A fixed 05:00 would cut the night shift."
        ),
    )
    @resolved
    def daily(context: dg.ScheduleEvaluationContext, database: Database) -> list[dg.RunRequest]:
        tick = context.scheduled_execution_time
        days = production_days(plant, running=False)
        boundary_now = tick - dt.timedelta(minutes=plant.report_after_boundary_min)
        ended = key_of(days, boundary_now - dt.timedelta(hours=2))
        closing = [*ON_CLOSE, *(f"archive/{name}" for name in _archived())]
        restated = {day for day in dirty_days(plant, database, closing) if ended is not None and day < ended}
        return requests([*sorted(restated)[-HEAL_AT_ONCE:], *([ended] if ended else [])], tick)

    return daily


def asking(plant: Plant, job: dg.JobDefinition) -> list[dg.ScheduleDefinition]:
    """One schedule for each connection of the plant file; a missed tick needs no replay, the cursor knows."""
    return [
        dg.ScheduleDefinition(
            name=f"ask_{connection.name}",
            job=job,
            cron_schedule=f"*/{connection.every_min} * * * *",
            execution_timezone="UTC",
            run_config={"ops": {"ask_connection": {"config": {"connection": connection.name}}}},
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description=f"Asks {connection.name} ({connection.kind}) every {connection.every_min} minutes.",
        )
        for connection in plant.connections
    ]


def nightly_pruning(plant: Plant, job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """Pruning at 04:15, outside the hour in which clocks change."""
    return _cron(plant, job, "nightly_pruning", "15 4 * * *", "Deletes old runs and events.")


def nightly_retention(plant: Plant, job: dg.UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition:
    """Retention at 04:40: a missed night is made up for by the next."""
    what = "Lets archived, verified days leave the hot tables."
    return _cron(plant, job, "nightly_retention", "40 4 * * *", what)


def weekly_backup(plant: Plant, job: dg.UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition:
    """The backup on Sunday at 05:10, after the night's retention."""
    what = "Backs up everything the archive does not hold."
    return _cron(plant, job, "weekly_backup_schedule", "10 5 * * 0", what)


def _cron(
    plant: Plant,
    job: dg.JobDefinition | dg.UnresolvedAssetJobDefinition,
    name: str,
    cron: str,
    description: str,
    run_config: dict[str, Any] | None = None,
) -> dg.ScheduleDefinition:
    """A job at a time of the plant's day, whatever has happened."""
    return dg.ScheduleDefinition(
        name=name,
        job=job,
        cron_schedule=cron,
        execution_timezone=plant.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        run_config=run_config,
        description=description,
    )


def key_of(days: dg.DailyPartitionsDefinition, moment: dt.datetime) -> str | None:
    """The production day a moment falls into; None before the first."""
    if moment < days.start:
        return None
    return days.get_partition_key_for_timestamp(moment.timestamp())


def dirty_days(plant: Plant, database: Database, datasets: Iterable[str]) -> set[str]:
    """Keys of production days with dirty marks of these datasets."""
    from prodlytics.db import dirty
    from prodlytics.plant.calendar import production_date_of

    with database.connect() as conn:
        dirty.settle_arrivals(conn)
        conn.commit()
        hours = dirty.times(conn, list(datasets))
    return {day.isoformat() for day in {production_date_of(plant, hour) for hour in hours} if day >= plant.first_day}


def unfinished_days(plant: Plant, database: Database, tick: dt.datetime) -> set[str]:
    """Keys of the production days before the tick's that are not told to their end.

    Where Dagster was down while a day closed and nothing was heard after, no mark says that the rest of the day, and
    days without any data, are missing: their hours have to say that nobody knows.
    """
    from prodlytics.db.queries import sql
    from prodlytics.plant.calendar import production_date_of

    with database.connect() as conn:
        row = conn.execute(
            sql("select_states_told_until"), {"machines": [machine.id for machine in plant.machines]}
        ).fetchone()
    if row is None or row[0] is None:
        return set()
    first, today = max(production_date_of(plant, row[0]), plant.first_day), production_date_of(plant, tick)
    return {(first + dt.timedelta(days=n)).isoformat() for n in range(max((today - first).days, 0))}


def requests(keys: Iterable[str], tick: dt.datetime) -> list[dg.RunRequest]:
    """One run a day, in this order: each day's checks are evaluated on their own, those of the running day last."""
    return [dg.RunRequest(run_key=f"{key}@{tick.isoformat()}", partition_key=key) for key in keys]


def _archived() -> list[str]:
    from prodlytics.datasets.registry import DATASETS

    return [dataset.name for dataset in DATASETS.values() if dataset.archived]
