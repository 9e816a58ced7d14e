"""anomaly_scores: episodes in which a machine did not run, scrap or vibrate as usual.

Belongs here: reading a window, asking the three detectors, writing their rows. The detectors are
`prodlytics.insights.anomalies`; how models are trained is `anomaly_training`.
"""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import dagster as dg

from prodlytics.assets.checks import Check
from prodlytics.assets.declare import dataset_asset
from prodlytics.assets.derive import Derivation, rederive
from prodlytics.assets.resources import Database
from prodlytics.assets.window import Window, day_edges

if TYPE_CHECKING:
    import pandas as pd
    import psycopg

    from prodlytics.insights.anomalies.minutes import Minutes
    from prodlytics.insights.anomalies.process import ProcessModel, Scored
    from prodlytics.plant.anomalies import Anomalies
    from prodlytics.plant.model import Machine, Plant

#: Windows reach back into the day before.
CONTEXT = dt.timedelta(hours=3)
#: Production dates in which the history of scrap lies.
HISTORY_DAYS = 90


def anomaly_scores(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""

    @dataset_asset(
        plant,
        "anomaly_scores",
        deps=["machine_telemetry", "machine_time", "oee_shift", "work_orders", "model_registry"],
        checks={
            "detectors_can_judge": "Has every machine a model of its process, and history of its scrap?",
            "alarms_are_rare": "Is the process detector in alarm for no more of the time than the plant accepts?",
            "no_severe_anomaly": "Is there no episode of high severity?",
        },
    )
    def asset(context: dg.AssetExecutionContext, database: Database) -> dg.MaterializeResult[Any]:
        def compute(conn: psycopg.Connection, known: Plant, window: Window) -> Derivation:
            return _compute(conn, known, plant.anomalies, window)

        return rederive(context, plant, database, "anomaly_scores", compute)

    return asset


def _compute(conn: psycopg.Connection, plant: Plant, settings: Anomalies, window: Window) -> Derivation:
    from prodlytics.insights.anomalies.rows import as_frame
    from prodlytics.plant.calendar import production_date_of

    edges = [(start, end) for start, end in pairwise(day_edges(plant, window.start, window.end))]
    dates = [production_date_of(plant, start) for start, _ in edges]
    counts = _counts(conn, plant, dates)
    rows: list[dict[str, Any]] = []
    for machine in plant.machines:
        rows += _of_machine(conn, plant, machine, settings, window, edges, counts[counts["machine_id"] == machine.id])
    found = as_frame(rows)
    return Derivation(
        found,
        "production_date = ANY(%(dates)s)",
        {"dates": dates},
        checks=(_can_judge(found), _rare(found, settings.false_alarm_share), _severe(found)),
        numbers={"episodes": int((found["episode"] > 0).sum())},
    )


def _counts(conn: psycopg.Connection, plant: Plant, dates: list[dt.date]) -> pd.DataFrame:
    from prodlytics.db.frames import read
    from prodlytics.db.queries import sql

    asked = {
        "date": dates[-1],
        "days": HISTORY_DAYS + len(dates) - 1,
        "machines": [machine.id for machine in plant.machines],
    }
    return read(conn, sql("select_counts_before"), asked)


def _of_machine(
    conn: psycopg.Connection,
    plant: Plant,
    machine: Machine,
    settings: Anomalies,
    window: Window,
    edges: list[tuple[dt.datetime, dt.datetime]],
    counts: pd.DataFrame,
) -> list[dict[str, Any]]:
    from prodlytics.assets.anomaly_inputs import minutes_of_machine, vibration_baseline
    from prodlytics.insights.anomalies import rows as said
    from prodlytics.insights.anomalies.process import score
    from prodlytics.insights.anomalies.vibration import Limits
    from prodlytics.plant.calendar import production_date_of

    until = max(window.start, window.cover_until)
    minutes = minutes_of_machine(conn, machine, settings, window.start - CONTEXT, until)
    model, version, why = _model_in_use(conn, machine, window.end)
    warm = minutes.picked(minutes.warm)
    scored = None
    if model is not None:
        scored = score(model, warm.of(model.channels), warm.segments, [str(part) for part in warm.parts])
    limits = machine.vibration_limits
    base = vibration_baseline(conn, plant, machine, settings, until) if limits is not None else None
    found: list[dict[str, Any]] = []
    for start, end in edges:
        if start >= until:
            continue
        date = production_date_of(plant, start)
        day = said.Day(machine.id, date, start, end, min(end, until), window.as_of)
        if model is None or scored is None:
            found.append(said.silent(day, "process", why))
        else:
            found += said.process_rows(day, warm, model, version, scored, settings)
        before = counts[counts["production_date"] > date - dt.timedelta(days=HISTORY_DAYS)]
        before = before[before["production_date"] <= date]
        found += said.scrap_rows(day, before, settings, _seen(warm, model, scored))
        if limits is not None:
            zones = Limits(limits.ab_mms, limits.bc_mms, limits.cd_mms)
            found += said.vibration_rows(day, minutes, zones, base, settings)
    return found


def _seen(
    minutes: Minutes, model: ProcessModel | None, scored: Scored | None
) -> tuple[Minutes, ProcessModel, Scored] | None:
    return None if model is None or scored is None else (minutes, model, scored)


def _model_in_use(conn: psycopg.Connection, machine: Machine, end: dt.datetime) -> tuple[ProcessModel | None, int, str]:
    """The machine's model and its version, or why there is none."""
    from prodlytics.assets.anomaly_inputs import model_name
    from prodlytics.assets.anomaly_training import NEEDED_MIN, TRAINING_DAYS
    from prodlytics.assets.inputs import of_machine
    from prodlytics.db.model_registry import in_use, versions
    from prodlytics.insights.anomalies.process import FEATURE_VERSION, ProcessModel
    from prodlytics.insights.store import from_bytes

    stored = in_use(conn, model_name(machine.id))
    if stored is not None and stored.feature_version == FEATURE_VERSION:
        return ProcessModel.from_plain(from_bytes(stored.content, stored.content_hash)), stored.version, ""
    if stored is not None:
        return None, 0, "the model in use was trained by another version: train it again"
    ledger = of_machine(conn, "select_ledger_over", machine.id, end - dt.timedelta(days=TRAINING_DAYS), end)
    runs = ledger[ledger["bucket"] == "running"]
    have = int((runs["ends_at"] - runs["starts_at"]).dt.total_seconds().sum() // 60)
    if have < NEEDED_MIN:
        return None, 0, f"not enough data: {NEEDED_MIN - have} more running minutes needed"
    refused = versions(conn, model_name(machine.id))
    return None, 0, str(refused[0]["status_reason"]) if refused else "no model was trained yet"


def _can_judge(rows: pd.DataFrame) -> Check:
    last = rows[(rows["episode"] == 0) & (rows["production_date"] == rows["production_date"].max())]
    mute = last[last["judged_min"].isna() & (last["detector"] == "process")]
    named = "; ".join(f"{row['machine_id']}: {row['null_reason']}" for row in mute.head(5).to_dict("records"))
    more = f"; and {len(mute) - 5} more" if len(mute) > 5 else ""
    return Check(
        "detectors_can_judge",
        mute.empty,
        "Every machine's process can be judged." if mute.empty else f"Not judged: {named}{more}.",
        {"machines_without_model": len(mute)},
        warns=True,
    )


def _rare(rows: pd.DataFrame, accepted: float) -> Check:
    total = rows[(rows["episode"] == 0) & (rows["detector"] == "process")]
    by_machine = total.groupby("machine_id")[["judged_min", "alarm_min"]].sum(min_count=1).dropna()
    by_machine = by_machine[by_machine["judged_min"] > 0]
    share = float(by_machine["alarm_min"].sum() / by_machine["judged_min"].sum()) if len(by_machine) else 0.0
    each = (by_machine["alarm_min"] / by_machine["judged_min"]).sort_values(ascending=False)
    worst = ", ".join(f"{machine} {value:.1%}" for machine, value in each.head(3).items())
    # Real trouble is in it as well: only far above what is accepted it says something about the models.
    passed = share <= 2 * accepted
    return Check(
        "alarms_are_rare",
        passed,
        f"In alarm for {share:.1%} of the judged running time (accepted in normal operation: {accepted:.1%}); "
        f"most: {worst}." if len(by_machine) else "Nothing was judged.",
        {"alarm_share": share},
        warns=True,
    )  # fmt: skip


def _severe(rows: pd.DataFrame) -> Check:
    severe = rows[rows["severity"] == "high"].sort_values("starts_at")
    named = "; ".join(
        f"{row['machine_id']} {row['detector']} at {row['starts_at']:%Y-%m-%d %H:%M} UTC"
        for row in severe.head(5).to_dict("records")
    )
    return Check(
        "no_severe_anomaly",
        severe.empty,
        "No episode of high severity." if severe.empty else f"{len(severe)} severe episodes: {named}. Look at "
        "anomaly_scores for the sensors that stand out.",
        {"severe": len(severe)},
        warns=True,
    )  # fmt: skip
