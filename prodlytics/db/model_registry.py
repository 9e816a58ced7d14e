"""The registry of models: what was trained, how good it is, which version is in use.

Belongs here: storing a trained model with its verdict, reading the one in use, promotion, rollback and pinning by
people. Does not belong here: the verdict (`prodlytics.insights.promotion`), the format of the bytes (`insights.store`).
Every change of the version in use leaves a row in `model_change`, which nobody can alter.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prodlytics.db import locks
from prodlytics.db.queries import sql

if TYPE_CHECKING:
    import psycopg


class NoSuchModelError(Exception):
    """There is no such model or version; the text says which there are."""


@dataclass(frozen=True)
class Trained:
    """A trained model, as it goes into the registry.

    Attributes:
        model_name: What it answers, e.g. `downtime_causes` or `anomaly_process/Mill01`.
        trained_from: First instant of the training data; `trained_until` the end, excluded. UTC.
        judged_from: The later window on which the scores were measured; None: it could not be judged.
        score: The figure that decides; more is better. Beside it the same figure of the baseline and of the version
            in use, on the same window.
        metrics: All figures, by name, those of the baseline among them.
        data_fingerprint: Hash of the training rows.
        training_trigger: Why it was trained: schedule, new_machine, new_part, accuracy, false_alarms, drift, by_hand.
        content: Its bytes (`insights.store.to_bytes`); None where there was not enough data for a model.
    """

    model_name: str
    algorithm: str
    trained_from: dt.datetime
    trained_until: dt.datetime
    judged_from: dt.datetime | None
    judged_until: dt.datetime | None
    row_count: int
    features: tuple[str, ...]
    feature_version: str
    score_name: str
    score: float | None
    baseline_score: float | None
    champion_score: float | None
    metrics: Mapping[str, Any]
    data_fingerprint: str
    training_trigger: str
    content: bytes | None
    content_hash: str | None


@dataclass(frozen=True)
class Stored:
    """A version in the registry, with its bytes; `insights.store.from_bytes` checks their hash."""

    model_name: str
    version: int
    is_pinned: bool
    features: tuple[str, ...]
    feature_version: str
    score: float | None
    metrics: dict[str, Any]
    trained_from: dt.datetime
    trained_until: dt.datetime
    content: bytes
    content_hash: str


def in_use(conn: psycopg.Connection[Any], model_name: str) -> Stored | None:
    """The version in use; None where no version ever beat its baseline."""
    return _stored(conn.execute(sql("select_model_in_use"), {"model_name": model_name}).fetchone())


def of_version(conn: psycopg.Connection[Any], model_name: str, version: int) -> Stored | None:
    """A version, in use or not; None if there is no such one."""
    return _stored(conn.execute(sql("select_model_version"), {"model_name": model_name, "version": version}).fetchone())


def last_verdict(conn: psycopg.Connection[Any], model_name: str) -> str | None:
    """Why the model trained last is in use or not; None where none was ever trained."""
    row = conn.execute(sql("select_newest_verdict"), {"model_name": model_name}).fetchone()
    return None if row is None else str(row[2])


def _stored(row: tuple[Any, ...] | None) -> Stored | None:
    if row is None:
        return None
    name, version, is_pinned, features, feature_version, score, metrics, *rest = row
    read = tuple(json.loads(features)), feature_version, score, json.loads(metrics)
    return Stored(name, version, is_pinned, *read, *rest)


def register(conn: psycopg.Connection[Any], trained: Trained, promoted: bool, why: str, code_version: str) -> int:
    """Store a trained model with its verdict, in the caller's transaction; a promoted one replaces the one in use.

    Returns:
        Its version. The same training data, code and bytes again are the same version: nothing is stored twice.
    """
    locks.lock_dataset(conn, f"model_registry/{trained.model_name}")
    names = {"model_name": trained.model_name, "content_hash": trained.content_hash}
    same = conn.execute(
        sql("select_same_model"), {**names, "data_fingerprint": trained.data_fingerprint, "code_version": code_version}
    ).fetchone()
    if same is not None:
        return int(same[0])
    if trained.content is not None:
        conn.execute(sql("insert_model_file"), {**names, "content": trained.content})
    if promoted:
        conn.execute(sql("retire_model"), {**names, "why": "replaced by a better version"})
    row = conn.execute(
        sql("insert_model"),
        {
            **{name: value for name, value in vars(trained).items() if name != "content"},
            "features": json.dumps(list(trained.features)),
            "metrics": json.dumps(dict(trained.metrics), default=str, sort_keys=True),
            "status": "champion" if promoted else "rejected",
            "why": why,
            "code_version": code_version,
        },
    ).fetchone()
    version = int(row[0]) if row else 0
    _log(conn, trained.model_name, version, "promoted" if promoted else "rejected", "training", why)
    return version


def promote(conn: psycopg.Connection[Any], model_name: str, version: int, by: str, why: str) -> None:
    """Put a version in use because a person says so: also the way back to an earlier one.

    Raises:
        NoSuchModelError: There is no such version.
    """
    locks.lock_dataset(conn, f"model_registry/{model_name}")
    _must_exist(conn, model_name, version)
    current = in_use(conn, model_name)
    if current is not None and current.version == version:
        return
    action = "rolled_back" if current is not None and version < current.version else "promoted"
    conn.execute(sql("retire_model"), {"model_name": model_name, "why": f"{action.replace('_', ' ')} to {version}"})
    conn.execute(sql("champion_model"), {"model_name": model_name, "version": version, "why": why})
    _log(conn, model_name, version, action, by, why)


def pin(conn: psycopg.Connection[Any], model_name: str, version: int | None, by: str, why: str) -> None:
    """Fix a version, so that training promotes no other; None lets it go.

    Raises:
        NoSuchModelError: There is no such version, or none is pinned.
    """
    locks.lock_dataset(conn, f"model_registry/{model_name}")
    row = conn.execute(sql("unpin_model"), {"model_name": model_name}).fetchone()
    if version is None:
        if row is None:
            raise NoSuchModelError(f"No version of {model_name} is pinned.")
        _log(conn, model_name, int(row[0]), "unpinned", by, why)
        return
    _must_exist(conn, model_name, version)
    promote(conn, model_name, version, by, why)
    conn.execute(sql("pin_model"), {"model_name": model_name, "version": version})
    _log(conn, model_name, version, "pinned", by, why)


def versions(conn: psycopg.Connection[Any], model_name: str | None = None) -> list[dict[str, Any]]:
    """All versions, newest first, without their bytes."""
    cursor = conn.execute(sql("select_models"), {"model_name": model_name})
    names = [column.name for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _must_exist(conn: psycopg.Connection[Any], model_name: str, version: int) -> None:
    known = versions(conn, model_name)
    if any(row["version"] == version for row in known):
        return
    there = ", ".join(str(row["version"]) for row in known)
    if there:
        raise NoSuchModelError(f"{model_name} has no version {version}; there are {there}.")
    models = ", ".join(sorted({row["model_name"] for row in versions(conn)})) or "none yet"
    raise NoSuchModelError(f"There is no model {model_name!r}; models: {models}.")


def _log(conn: psycopg.Connection[Any], model_name: str, version: int, action: str, by: str, why: str) -> None:
    conn.execute(
        sql("insert_model_change"),
        {"model_name": model_name, "version": version, "action": action, "by": by, "why": why},
    )
