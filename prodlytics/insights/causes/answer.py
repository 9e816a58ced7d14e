"""The likely cause of each stop, with its evidence.

Belongs here: the model's answer or `unknown`, the rule's answer from fault codes until there is a model, where the
evidence disagrees with what people said. Does not belong here: training, or reading and writing rows.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from prodlytics.datasets.registry import DATASETS
from prodlytics.insights.causes.encode import Matrix, is_of_sensor, unfolded
from prodlytics.insights.causes.train import UNKNOWN, CauseModel
from prodlytics.insights.causes.words import Seen, sentences

COLUMNS = list(DATASETS["downtime_causes"].columns)
#: What people said is doubted only where the model is sure of something else and gives theirs less than this.
DOUBTED_BELOW = 0.1


@dataclass(frozen=True)
class InUse:
    """The model that answers."""

    model: CauseModel
    version: int
    trained_from: dt.datetime
    trained_until: dt.datetime


def by_model(features: pd.DataFrame, coded: pd.Series[str], used: InUse, as_of: dt.datetime) -> pd.DataFrame:
    """Rows of `downtime_causes` from a model.

    Args:
        features: Rows of `stop_features`.
        coded: For each the category that was named; missing where none was.
        used: The model in use.
        as_of: What was known when this was computed.
    """
    features = features.reset_index(drop=True)
    found = used.model.probabilities(features)
    best, confidence = found.argmax(axis=1), found.max(axis=1)
    sure = confidence >= used.model.confident_from
    names = np.array(used.model.causes, dtype=object)
    cause = np.where(sure, names[best], UNKNOWN)
    place = {name: nth for nth, name in enumerate(used.model.causes)}
    said = [None if value is None or value != value else str(value) for value in coded]
    given = np.array([found[row, place[c]] if c in place else np.nan for row, c in enumerate(said)])
    start = features["stop_started_at"]
    rows = pd.DataFrame(
        {
            "answered_by": "model",
            "model_version": used.version,
            "cause": cause,
            "confidence": np.round(confidence, 6),
            "probabilities": [
                json.dumps({name: round(float(p), 4) for name, p in zip(names, row, strict=True)}) for row in found
            ],
            "evidence": _evidence(used.model, features, best),
            "coded_category": pd.Series(said, dtype=object),
            # A cause the model has never learned cannot be doubted by it.
            "disagrees": sure & (given < DOUBTED_BELOW),
            "in_training": (start >= used.trained_from) & (start < used.trained_until),
            "null_reason": pd.Series([None] * len(features), dtype=object),
        }
    )
    return _rows(features, rows, as_of)


def by_rule(
    features: pd.DataFrame, coded: pd.Series[str], category_of_fault: Mapping[str, tuple[str, str]], missing: str,
    as_of: dt.datetime,
) -> pd.DataFrame:  # fmt: skip
    """Rows of `downtime_causes` while there is no model: what the controller's fault code stands for, or nothing.

    Args:
        features: Rows of `stop_features`.
        coded: For each the category that was named; missing where none was.
        category_of_fault: Fault code to reason category and the reason's name, from the plant file.
        missing: Why there is no model, for those the rule cannot answer either.
        as_of: What was known when this was computed.
    """
    features = features.reset_index(drop=True)
    ruled = [category_of_fault.get(str(code)) if code is not None else None for code in features["fault_code"]]
    said = [None if value is None or value != value else str(value) for value in coded]
    rows = pd.DataFrame(
        {
            "answered_by": ["none" if one is None else "rule" for one in ruled],
            "model_version": pd.Series([None] * len(features), dtype=object),
            "cause": [UNKNOWN if one is None else one[0] for one in ruled],
            "confidence": np.full(len(features), np.nan),
            "probabilities": "{}",
            "evidence": [
                "" if one is None else f"The controller showed fault {code}, which stands for {one[1]}."
                for one, code in zip(ruled, features["fault_code"], strict=True)
            ],
            "coded_category": pd.Series(said, dtype=object),
            "disagrees": np.array(
                [one is not None and c is not None and c != one[0] for one, c in zip(ruled, said, strict=True)],
                dtype=bool,
            ),
            "in_training": np.zeros(len(features), dtype=bool),
            "null_reason": pd.Series([missing if one is None else None for one in ruled], dtype=object),
        },
        index=features.index,
    )
    return _rows(features, rows, as_of)


def contributions(model: CauseModel, matrix: Matrix, best: np.typing.NDArray[np.int64]) -> Matrix:
    """What each column of each row added to the score of the answer given (SHAP values, before calibration)."""
    import shap

    if not len(matrix):
        return np.empty((0, matrix.shape[1]))
    values = np.asarray(shap.TreeExplainer(model.trees).shap_values(matrix))
    if values.ndim == 2:
        # Two causes have one score: what speaks for the second speaks against the first.
        return np.where(best[:, None] == 1, values, -values)
    return np.asarray(values[np.arange(len(matrix)), :, best], dtype=np.float64)


def _evidence(model: CauseModel, features: pd.DataFrame, best: np.typing.NDArray[np.int64]) -> list[str]:
    matrix = model.encoding.matrix(features)
    added = contributions(model, matrix, best)
    flat = unfolded(features, model.encoding.zone, model.encoding.without)
    columns, numeric = model.encoding.columns, len(model.encoding.numeric)
    texts = []
    for row, machine in enumerate(features["machine_id"]):
        middle, spread = model.encoding.usual.get(machine, model.encoding.usual[""])
        strongest = [int(n) for n in np.argsort(-added[row], kind="stable") if added[row, n] > 0]
        seen = []
        for nth in strongest[:12]:
            name = columns[nth]
            value = flat[name].iloc[row] if name in flat else None
            known = nth < numeric and (is_of_sensor(name) or name in flat)
            seen.append(Seen(name, value, float(middle[nth]), float(spread[nth])) if known else Seen(name, value))
        told = sentences(seen)
        texts.append("Evidence, not proof: " + "; ".join(told) + "." if told else "")
    return texts


def _rows(features: pd.DataFrame, rows: pd.DataFrame, as_of: dt.datetime) -> pd.DataFrame:
    for name in ("machine_id", "stop_started_at", "stop_id", "production_date"):
        rows[name] = features[name]
    rows["fingerprint"] = [
        hashlib.sha256(repr(row).encode()).hexdigest()[:16]
        for row in zip(
            features["fingerprint"], rows["model_version"], rows["cause"], rows["coded_category"], strict=True
        )
    ]
    rows["as_of"] = pd.Series(as_of, index=rows.index, dtype="datetime64[us, UTC]")
    return rows[COLUMNS]
