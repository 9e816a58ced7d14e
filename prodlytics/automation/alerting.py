"""Sensors that alert: what machines and feeds do, what failed in Dagster, handing messages over.

Belongs here: asking Dagster's instance, and the ticks. Does not belong here: rules, limits and the life of an alert
(`prodlytics.alerts`). Nothing in Dagster notices a sensor that fails: `prodlytics watchdog` does.
The state of an alert is in the product's database, so that a tick that dies is made good by the next one.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

import dagster as dg

from prodlytics.assets.declare import accepted_betas, resolved
from prodlytics.assets.resources import Database

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg
    from dagster._core.storage.dagster_run import RunRecord

    from prodlytics.alerts.life import Outcome, Reading
    from prodlytics.plant.model import Plant

#: What Dagster knows: rules of `alert_dagster`.
DAGSTER = ("check_failed", "model_drift", "run_failed", "asset_stale")
#: Failed runs are looked at so far back; a day that was never computed again is then the checks' business.
RUNS_BACK = dt.timedelta(days=2)
#: Without any run that ended, everything is looked at anew after so long: freshness fails by the clock alone.
LOOK_ANYWAY = dt.timedelta(minutes=5)
SLOW_EVERY = dt.timedelta(minutes=1)
T = TypeVar("T")
_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


def alert_rules(plant: Plant) -> dg.SensorDefinition:
    """Judge the live views every 30 seconds; starts no run and writes only what has changed."""

    def look(context: dg.SensorEvaluationContext, database: Database) -> dg.SensorResult | dg.SkipReason:
        from prodlytics.alerts import readings
        from prodlytics.alerts.deliver import readings_of_delivery
        from prodlytics.alerts.store import escalate, record

        now = dt.datetime.now(dt.UTC)
        slow_at = dt.datetime.fromisoformat(context.cursor) if context.cursor else None
        is_slow = slow_at is None or now - slow_at >= SLOW_EVERY

        def judge(conn: psycopg.Connection) -> list[Outcome]:
            live = [*readings.live(conn, plant, now), *readings_of_delivery(conn, plant, now)]
            outcomes = [record(conn, plant, readings.LIVE, live, now)]
            if is_slow:
                outcomes.append(record(conn, plant, readings.SLOW, readings.slow(conn, plant, now), now))
            escalate(conn, plant, now)
            return outcomes

        told = _with_database(database, judge)
        if isinstance(told, str):
            return dg.SkipReason(told)
        cursor = now.isoformat() if is_slow else context.cursor
        return dg.SensorResult(skip_reason=dg.SkipReason(_says(told)), cursor=cursor)

    return _sensor("alert_rules", "Judges machines, feeds, sources and archive against the limits of the plant.", look)


def alert_dagster(plant: Plant) -> dg.SensorDefinition:
    """Failed checks, failed runs, stale assets: looked at when a run has ended, and every five minutes."""

    def look(context: dg.SensorEvaluationContext, database: Database) -> dg.SensorResult | dg.SkipReason:
        from prodlytics.alerts.store import record, started

        now = dt.datetime.now(dt.UTC)
        last = dt.datetime.fromisoformat(context.cursor) if context.cursor else None
        if last is not None and now - last < LOOK_ANYWAY and not _ended_since(context.instance, last):
            return dg.SkipReason("No run has ended.")
        graph = context.repository_def.asset_graph if context.repository_def else None
        if graph is None:
            return dg.SkipReason("The code location is not loaded.")

        def judge(conn: psycopg.Connection) -> list[Outcome]:
            since = started(conn, "dagster", now)
            found = [
                *checks(context.instance, plant, graph.asset_check_keys, since),
                *runs(context.instance, plant, since, now),
                *stale(
                    context.instance,
                    (key for key in graph.get_all_asset_keys() if graph.get(key).freshness_policy is not None),
                    since,
                ),
            ]
            return [record(conn, plant, DAGSTER, found, now)]

        told = _with_database(database, judge)
        if isinstance(told, str):
            return dg.SkipReason(told)
        return dg.SensorResult(skip_reason=dg.SkipReason(_says(told)), cursor=now.isoformat())

    return _sensor("alert_dagster", "Failed checks, failed runs and stale assets become alerts.", look)


def alert_delivery(plant: Plant) -> dg.SensorDefinition:
    """Hand over what is due; on its own, so that a mail server that hangs holds up no rule."""

    def look(context: dg.SensorEvaluationContext, database: Database) -> dg.SkipReason:
        from prodlytics.alerts.deliver import deliver

        if not plant.alerts.channels:
            return dg.SkipReason("The plant file names no channel: alerts are recorded and nobody is told.")
        now = dt.datetime.now(dt.UTC)
        told = _with_database(database, lambda conn: deliver(conn, plant, os.environ, now).says())
        return dg.SkipReason(told)

    return _sensor("alert_delivery", "Hands messages about alerts to mail, chat, SMS and webhooks.", look)


def checks(
    instance: dg.DagsterInstance, plant: Plant, keys: Iterable[dg.AssetCheckKey], since: dt.datetime
) -> Iterator[Reading]:
    """The latest evaluation of each check: 1 for a failed one that warns, 2 for an error.

    One that is being evaluated says nothing. What was evaluated before `since` is history.
    """
    from prodlytics.alerts.life import Reading

    for key in keys:
        latest = instance.get_latest_asset_check_evaluation_record(key)
        # The record's own time is to the second on SQLite.
        if latest is None or latest.event is None or latest.event.timestamp < since.timestamp():
            continue
        rule = "model_drift" if "drift" in key.name else "check_failed"
        subject = "/".join([*_below(plant, key.asset_key), key.name])
        event = latest.event.dagster_event
        if event is None or event.event_type_value != "ASSET_CHECK_EVALUATION":
            yield Reading(rule, subject, None, "It is being evaluated.")
            continue
        found = event.asset_check_evaluation_data
        weight = 0.0 if found.passed else 2.0 if found.severity is dg.AssetCheckSeverity.ERROR else 1.0
        says = found.description or ("It passed." if found.passed else "It failed and gave no reason.")
        yield Reading(rule, subject, weight, says)


def runs(instance: dg.DagsterInstance, plant: Plant, since: dt.datetime, now: dt.datetime) -> Iterator[Reading]:
    """Each job: whether the latest run of any partition failed.

    A run that a blocking check stopped is not announced: the check is.
    """
    from prodlytics.alerts.life import Reading

    newest: dict[tuple[str, str], RunRecord] = {}
    asked = dg.RunsFilter(statuses=_FINISHED, updated_after=max(since, now - RUNS_BACK))
    for record in instance.get_run_records(asked, limit=1000, order_by="update_timestamp", ascending=False):
        run = record.dagster_run
        if run.tags.get("prodlytics/plant", plant.plant) == plant.plant:
            newest.setdefault((run.job_name, run.tags.get("dagster/partition", "")), record)
    failed: dict[str, list[RunRecord]] = {job: [] for job, _ in newest}
    for (job, _), record in newest.items():
        if record.dagster_run.status is dg.DagsterRunStatus.FAILURE and not _was_blocked(instance, record):
            failed[job].append(record)
    for job, records in failed.items():
        name = "materialization" if job.startswith("__") else job
        if not records:
            yield Reading("run_failed", name, 0.0, "The latest run succeeded.")
            continue
        of = ", ".join(sorted(filter(None, (one.dagster_run.tags.get("dagster/partition") for one in records))))
        first = records[0].dagster_run
        says = f"Run {first.run_id[:8]} failed{f' for {of}' if of else ''}: {_why(instance, first.run_id)}"
        yield Reading("run_failed", name, 1.0, says)


def stale(instance: dg.DagsterInstance, keys: Iterable[dg.AssetKey], since: dt.datetime) -> Iterator[Reading]:
    """Assets whose freshness policy Dagster's daemon found failed since we look."""
    from prodlytics.alerts.life import Reading

    for key, record in instance.get_freshness_state_records(list(keys)).items():
        failed = record.freshness_state.value == "FAIL" and record.updated_at >= since
        says = "It was not materialized within the window of its freshness policy." if failed else "It is fresh."
        yield Reading("asset_stale", "/".join(key.path[1:]), float(failed), says)


def _ended_since(instance: dg.DagsterInstance, since: dt.datetime) -> bool:
    return bool(instance.get_run_records(dg.RunsFilter(statuses=_FINISHED, updated_after=since), limit=1))


def _was_blocked(instance: dg.DagsterInstance, record: RunRecord) -> bool:
    evaluated = instance.get_records_for_run(
        record.dagster_run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ).records
    found = (one.event_log_entry.dagster_event for one in evaluated)
    return any(
        event is not None
        and event.asset_check_evaluation_data.blocking
        and not event.asset_check_evaluation_data.passed
        for event in found
    )


def _why(instance: dg.DagsterInstance, run_id: str) -> str:
    """The first sentence of the first step that failed; else of the run."""
    for kind in (dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE):
        for record in instance.get_records_for_run(run_id, of_type=kind).records:
            event = record.event_log_entry.dagster_event
            error = getattr(event.event_specific_data, "error", None) if event else None
            cause = error.cause or error if error else None
            if cause is not None and event is not None:
                return f"{event.step_key or 'the run'}: {cause.message.strip().splitlines()[0]}"
    return "Dagster gives no reason; see the run."


def _below(plant: Plant, key: dg.AssetKey) -> list[str]:
    return [part for i, part in enumerate(key.path) if i > 0 or part != plant.plant]


def _with_database(database: Database, work: Callable[[psycopg.Connection], T]) -> T | str:
    """What the work returns, or why there is no database: the next tick tries again, and the watchdog says so."""
    import psycopg

    from prodlytics.db.connect import DatabaseUnavailable

    try:
        with database.connect(autocommit=True) as conn:
            conn.execute("SET statement_timeout = '25s'")
            return work(conn)
    except DatabaseUnavailable as error:
        return str(error)
    except psycopg.OperationalError as error:
        said = str(error).strip().splitlines()
        return f"The database went away: {said[0] if said else 'no reason given'}."


def _says(outcomes: list[Outcome]) -> str:
    changes = [change for outcome in outcomes for change in outcome.changes]
    if not changes:
        return "Nothing has changed."
    return "; ".join(f"{change.alert.title}: {change.kind}" for change in changes[:20])


def _sensor(
    name: str,
    description: str,
    look: Callable[..., dg.SensorResult | dg.SkipReason],
) -> dg.SensorDefinition:
    with accepted_betas():
        return dg.sensor(
            name=name,
            minimum_interval_seconds=30,
            default_status=dg.DefaultSensorStatus.RUNNING,
            description=description,
        )(resolved(look))
