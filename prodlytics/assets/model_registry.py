"""model_registry: training of all models, and the verdict on each.

Belongs here: reading the training window, registering what came of it, the check that says which models are in use and
why others are not. Training itself is in `prodlytics.insights`, storing in `prodlytics.db`.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import dagster as dg

from prodlytics import __version__
from prodlytics.assets.checks import Check
from prodlytics.assets.declare import dataset_asset
from prodlytics.assets.downtime_causes import MODEL as CAUSES
from prodlytics.assets.resources import Database

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from prodlytics.db.model_registry import Trained
    from prodlytics.insights.promotion import Verdict
    from prodlytics.plant.model import Plant

    #: Reads, trains, judges and registers, in the caller's transaction; the verdict of each model by its name.
    Trainer = Callable[[psycopg.Connection, Plant, dt.datetime, str], dict[str, str]]

#: Trained on the latest so many days.
TRAINING_WINDOW = dt.timedelta(days=90)
#: The newest success may be eight days old: trained each Sunday.
WEEKLY = dg.FreshnessPolicy.time_window(fail_window=dt.timedelta(days=15), warn_window=dt.timedelta(days=8))


class Training(dg.Config):
    """What to train, and why."""

    models: list[str] | None = None
    "Names of TRAINERS; None for all."
    trigger: str = "by_hand"


def model_registry(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""

    @dataset_asset(
        plant,
        "model_registry",
        # No dependency on what is partitioned by day: training reads the latest 90 of them.
        checks={"models_beat_their_baselines": "Is every model in use better than the simplest answer?"},
        partitioned=False,
        freshness=WEEKLY,
        pool=False,
    )
    def asset(context: dg.AssetExecutionContext, config: Training, database: Database) -> dg.MaterializeResult[Any]:
        with database.connect() as conn:
            return train(conn, plant, dt.datetime.now(dt.UTC), config.trigger, config.models)

    return asset


def train(
    conn: psycopg.Connection, plant: Plant, now: dt.datetime, trigger: str, models: list[str] | None = None
) -> dg.MaterializeResult[Any]:
    """Train models (all without a list) on the 90 days before `now`, and store each with its verdict."""
    from prodlytics.db import model_registry as registry

    told: dict[str, str] = {}
    for name, trainer in TRAINERS.items():
        if models and name not in models:
            continue
        with conn.transaction():
            told.update(trainer(conn, plant, now, trigger))
    in_use = [row for row in registry.versions(conn) if row["status"] == "champion"]
    conn.commit()
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(told),
            "models_in_use": len(in_use),
            "verdicts": dg.MetadataValue.md("\n".join(f"- **{name}**: {why}" for name, why in told.items()) or "none"),
        },
        check_results=[
            Check("schema", True, "Written by the registry, whose table has these columns.").result(),
            _beats(in_use, told).result(),
        ],
    )


def _beats(in_use: list[dict[str, Any]], told: dict[str, str]) -> Check:
    worse = [row for row in in_use if row["score"] is None or row["score"] <= (row["baseline_score"] or 0.0)]
    without = {name: why for name, why in told.items() if name not in {row["model_name"] for row in in_use}}
    says = "; ".join(
        [f"{row['model_name']} version {row['version']} is in use and no better than its baseline" for row in worse]
        + [f"{name}: {why}" for name, why in without.items()]
    )
    return Check(
        "models_beat_their_baselines",
        not worse and not without,
        f"{len(in_use)} models are in use, each better than its baseline." if not says else says + ".",
        {"models_in_use": len(in_use), "models_without_a_version_in_use": len(without)},
        warns=True,
    )


def train_downtime_causes(conn: psycopg.Connection, plant: Plant, now: dt.datetime, trigger: str) -> dict[str, str]:
    """Train the model of causes on the stops of the latest 90 days that were named."""
    from prodlytics.db import model_registry as registry

    trained, verdict = _causes(conn, plant, now, trigger)
    registry.register(conn, trained, verdict.promoted, verdict.why, __version__)
    return {trained.model_name: verdict.why}


def train_anomaly_process(conn: psycopg.Connection, plant: Plant, now: dt.datetime, trigger: str) -> dict[str, str]:
    """Train the process model of each machine on its normal operation of the latest 90 days."""
    from prodlytics.assets.anomaly_training import train_anomalies

    return {one.model_name: one.why for one in train_anomalies(conn, plant, now, trigger)}


def _causes(conn: psycopg.Connection, plant: Plant, now: dt.datetime, trigger: str) -> tuple[Trained, Verdict]:
    from prodlytics.db import model_registry as registry
    from prodlytics.db.frames import read_many
    from prodlytics.db.queries import sql
    from prodlytics.insights.causes.train import (
        ALGORITHM,
        SCORE_NAME,
        counts_by_cause,
        fingerprint_of,
        train_causes,
        window_of,
    )  # fmt: skip
    from prodlytics.insights.promotion import Verdict, decide
    from prodlytics.insights.stop_features import FEATURE_VERSION
    from prodlytics.insights.store import to_bytes

    span = {"start": now - TRAINING_WINDOW, "end": now}
    features = read_many(conn, sql("select_stop_features"), span)
    named = read_many(conn, sql("select_named_stops"), span)
    rows = features[features["feature_version"] == FEATURE_VERSION].merge(named[named["has_ended"]])
    rows = rows.sort_values(["stop_started_at", "machine_id"], kind="stable").reset_index(drop=True)
    causes = rows["reason_category"].to_numpy(dtype=object)
    days = rows["production_date"].to_numpy(dtype=object)
    done = train_causes(rows, causes, days, plant.timezone)
    common = {
        "model_name": CAUSES, "algorithm": ALGORITHM, "feature_version": FEATURE_VERSION, "score_name": SCORE_NAME,
        "data_fingerprint": fingerprint_of(rows, causes), "training_trigger": trigger,
    }  # fmt: skip
    if done.model is None or done.parts is None:
        nothing = registry.Trained(
            **common, trained_from=span["start"], trained_until=now, judged_from=None, judged_until=None,
            row_count=len(rows), features=(), score=None, baseline_score=None, champion_score=None,
            metrics={"named_stops": counts_by_cause(causes)}, content=None, content_hash=None,
        )  # fmt: skip
        return nothing, Verdict(False, done.missing)
    champion = registry.in_use(conn, CAUSES)
    against = None if champion is None else _on_same_window(champion, rows, causes, days, done)
    trained_from, trained_until = window_of(rows, done.parts.fit | done.parts.calibrate)
    judged_from, judged_until = window_of(rows, done.parts.judge)
    content, digest = to_bytes(done.model.as_dict())
    metrics = {**done.metrics, "named_stops": counts_by_cause(causes), "margin": done.margin}
    trained = registry.Trained(
        **common, trained_from=trained_from, trained_until=trained_until, judged_from=judged_from,
        judged_until=judged_until, row_count=int((~done.parts.judge).sum()), features=done.model.encoding.columns,
        score=done.score, baseline_score=0.0, champion_score=against, metrics=metrics, content=content,
        content_hash=digest,
    )  # fmt: skip
    pinned = champion is not None and champion.is_pinned
    return trained, decide(SCORE_NAME, done.score, 0.0, against, margin=done.margin, pinned=pinned)


def _on_same_window(champion: Any, rows: Any, causes: Any, days: Any, done: Any) -> float | None:
    """Score of the version in use on the challenger's window; None where it reads other features."""
    from prodlytics.insights.causes.train import CauseModel, judge
    from prodlytics.insights.stop_features import FEATURE_VERSION
    from prodlytics.insights.store import from_bytes

    if champion.feature_version != FEATURE_VERSION:
        return None
    model = CauseModel.from_dict(from_bytes(champion.content, champion.content_hash))
    late, fitted = done.parts.judge, done.parts.fit
    judged = judge(model, rows[late].reset_index(drop=True), causes[late], causes[fitted], days[late])
    return float(judged.metrics["log_loss_saved"])


#: Every model, by the name it is asked for.
TRAINERS: dict[str, Trainer] = {CAUSES: train_downtime_causes, "anomaly_process": train_anomaly_process}
