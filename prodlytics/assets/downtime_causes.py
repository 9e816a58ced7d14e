"""downtime_causes: the likely cause of each stop, beside what people said.

Belongs here: which model answers for which stop, reading and writing, whether answers came true. What the answer is, is
in `prodlytics.insights`.

A stop keeps the version that answered it first: what was said then is judged against what people name later, and a
day that is computed again gives the same rows. A version that is newly in use answers new stops, and those that only a
rule or nobody had answered.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import dagster as dg

from prodlytics.assets.checks import Check
from prodlytics.assets.declare import dataset_asset
from prodlytics.assets.derive import Derivation, rederive
from prodlytics.assets.resources import Database
from prodlytics.assets.window import Window

if TYPE_CHECKING:
    import pandas as pd
    import psycopg

    from prodlytics.insights.causes.answer import InUse
    from prodlytics.plant.model import Plant

MODEL = "downtime_causes"
#: Answers are judged over so many days, once there are so many.
JUDGED_OVER = dt.timedelta(days=30)
JUDGED_ON = 20
#: Below this share of right answers the model is trained anew (the guide's limit).
ACCURACY = 0.65


def downtime_causes(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""

    @dataset_asset(
        plant,
        "downtime_causes",
        deps=["stop_features", "downtime_events", "model_registry"],
        checks={
            "a_model_answers": "Is there a model that beats its baseline, and if not, what is missing?",
            "answers_came_true": "Of the causes people named later, had the model said most?",
            "people_and_sensors_agree": "Does the evidence point where people pointed?",
        },
    )
    def asset(context: dg.AssetExecutionContext, database: Database) -> dg.MaterializeResult[Any]:
        return rederive(context, plant, database, "downtime_causes", _compute)

    return asset


def _compute(conn: psycopg.Connection, plant: Plant, window: Window) -> Derivation:
    from prodlytics.assets.inputs import together
    from prodlytics.db import model_registry
    from prodlytics.db.frames import read
    from prodlytics.db.queries import sql
    from prodlytics.insights.causes.answer import by_model, by_rule

    span = {"start": window.start, "end": window.end}
    features = read(conn, sql("select_stop_features"), span)
    named = read(conn, sql("select_named_stops"), span)
    key = ["machine_id", "stop_started_at"]
    features = features.merge(named, on=key, how="left")
    answered = read(conn, sql("select_cause_versions"), span)
    features = features.merge(answered, on=key, how="left")
    newest = model_registry.in_use(conn, MODEL)
    version = features["model_version"].fillna(newest.version if newest is not None else 0).astype(int)
    rows = []
    for number, stops in features.groupby(version, sort=True):
        used = model_in_use(conn, int(number)) if number else None
        of_this = stops[stops["feature_version"] == (used[1] if used else "")]
        others = stops.drop(of_this.index)
        if used is not None and len(of_this):
            rows.append(by_model(of_this, of_this["reason_category"], used[0], window.as_of))
        if len(others):
            rows.append(
                by_rule(others, others["reason_category"], _faults(plant), _missing(conn), window.as_of)
            )  # fmt: skip
    if not rows:
        rows.append(by_rule(features, features["reason_category"], _faults(plant), "", window.as_of))
    found = together(rows)
    return Derivation(
        found,
        "stop_started_at >= %(start)s AND stop_started_at < %(end)s",
        span,
        checks=(_has_model(newest is not None, _missing(conn)), _came_true(conn, window), _agree(found)),
        numbers={
            "stops": len(found),
            "answered_by_model": int((found["answered_by"] == "model").sum()),
            "unknown": int((found["cause"] == "unknown").sum()),
            "disagreements": int(found["disagrees"].sum()),
        },
    )


def model_in_use(conn: psycopg.Connection, version: int) -> tuple[InUse, str] | None:
    """A version ready to answer, and the version of the features it reads.

    Raises:
        ModelFileError: Its bytes are not what was stored.
    """
    from prodlytics.db import model_registry
    from prodlytics.insights.causes.answer import InUse
    from prodlytics.insights.causes.train import CauseModel
    from prodlytics.insights.store import from_bytes

    stored = model_registry.of_version(conn, MODEL, version)
    if stored is None:
        return None
    model = CauseModel.from_dict(from_bytes(stored.content, stored.content_hash))
    return InUse(model, stored.version, stored.trained_from, stored.trained_until), stored.feature_version


def _faults(plant: Plant) -> dict[str, tuple[str, str]]:
    """Fault code to the category and the name of the reason it stands for."""
    found = {}
    for fault, reason_code in plant.fault_reasons.items():
        category = plant.reason_category(reason_code)
        if category is not None:
            names = {reason.code: reason.name for reason in category.reasons}
            found[fault] = (category.code, names.get(reason_code, category.name))
    return found


def _missing(conn: psycopg.Connection) -> str:
    from prodlytics.db import model_registry

    return model_registry.last_verdict(conn, MODEL) or "no model was trained yet: the weekly training comes on Sunday"


def _has_model(there: bool, missing: str) -> Check:
    return Check(
        "a_model_answers", there, "A model that beats its baseline answers." if there else
        f"Fault codes answer, no model does: {missing}.", warns=True,
    )  # fmt: skip


def _came_true(conn: psycopg.Connection, window: Window) -> Check:
    from prodlytics.db.frames import read
    from prodlytics.db.queries import sql

    span = {"start": window.end - JUDGED_OVER, "end": window.end}
    judged = read(conn, sql("select_answers_that_came_true"), span)
    answers = judged[judged["cause"] != "unknown"]
    if len(answers) < JUDGED_ON:
        return Check(
            "answers_came_true", True,
            f"Not enough to judge: {len(answers)} of {JUDGED_ON} answers of the last 30 days were named by people.",
            {"answers_named_later": len(answers)}, warns=True,
        )  # fmt: skip
    right = float((answers["cause"] == answers["coded_category"]).mean())
    return Check(
        "answers_came_true",
        right >= ACCURACY,
        f"{right:.0%} of {len(answers)} answers of the last 30 days were what people named later"
        + (
            "."
            if right >= ACCURACY
            else f": below {ACCURACY:.0%} a new training is asked for. Have machines or reasons changed?"
        ),
        {"accuracy": right, "answers_named_later": len(answers), "answers": len(answers) / max(len(judged), 1)},
        warns=True,
    )


def _agree(rows: pd.DataFrame) -> Check:
    doubted = rows[rows["disagrees"]].sort_values("confidence", ascending=False, na_position="last")
    first = "; ".join(
        f"{row['machine_id']} {row['stop_started_at']:%Y-%m-%d %H:%M} UTC: named {row['coded_category']}, evidence for "
        f"{row['cause']}" + ("" if row["confidence"] != row["confidence"] else f" ({row['confidence']:.0%})")
        for row in rows.loc[doubted.index[:3]].to_dict("records")
    )
    return Check(
        "people_and_sensors_agree",
        doubted.empty,
        "No named cause is doubted."
        if doubted.empty
        else f"{len(doubted)} named causes are doubted: {first}. See downtime_causes where disagrees.",
        {"disagreements": len(doubted)},
        warns=True,
    )
