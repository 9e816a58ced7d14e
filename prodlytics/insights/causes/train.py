"""Training on named stops, and judging on later ones.

Belongs here: the temporal split, the classifier and its calibration, the figures beside their baselines. Does not
belong here: reading stops, or whether the model is used (`insights.promotion`).

A share of days at the end is never seen in training; the days before them calibrate. Splitting at random inside a day,
over-sampling before the split, or features that are known only later would promise 0.94 and deliver 0.28.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from prodlytics.insights.causes.encode import Encoding, Matrix, learn_encoding

#: Days at the end that judge, and the share of the days before them that calibrate.
JUDGED, CALIBRATED = 0.3, 0.2
#: A cause with fewer named stops to learn from is none the model can give.
LABELS_PER_CAUSE = 20
#: So many stops have to be there for calibration and for judging.
CALIBRATE_ON, JUDGE_ON = 30, 50
#: Where the model answers it should be right nine times in ten; below that confidence it says unknown.
RIGHT_WHERE_IT_ANSWERS = 0.9
UNKNOWN = "unknown"
ALGORITHM = "gradient-boosted trees (histogram), temperature-scaled"
#: Fixed beforehand, for all plants. Weights between none and balanced: rare causes count, common ones stay calibrated.
TREES = {"max_iter": 150, "learning_rate": 0.05, "max_leaf_nodes": 15, "min_samples_leaf": 20, "max_features": 0.3,
         "l2_regularization": 1.0, "early_stopping": False, "random_state": 0}  # fmt: skip
BALANCE = 0.75
_RESAMPLED = 400

Labels = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Parts:
    """Which rows fit, calibrate and judge."""

    fit: npt.NDArray[np.bool_]
    calibrate: npt.NDArray[np.bool_]
    judge: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class CauseModel:
    """A fitted model: `probabilities` in the order of `causes`.

    Attributes:
        trees: The classifier before calibration.
        sharpness: What its scores are multiplied by before they become probabilities (one over the temperature).
        confident_from: Confidence from which it answers; below it says unknown.
    """

    encoding: Encoding
    causes: tuple[str, ...]
    trees: Any
    sharpness: float
    confident_from: float

    def probabilities(self, features: pd.DataFrame) -> Matrix:
        """Calibrated probabilities of each cause for rows of `stop_features`."""
        if features.empty:
            return np.empty((0, len(self.causes)))
        return sharpened(self.trees.decision_function(self.encoding.matrix(features)), self.sharpness)

    def as_dict(self) -> dict[str, Any]:
        """For `insights.store`."""
        return {
            "encoding": self.encoding.as_dict(),
            "causes": list(self.causes),
            "trees": self.trees,
            "sharpness": self.sharpness,
            "confident_from": self.confident_from,
        }

    @staticmethod
    def from_dict(stored: dict[str, Any]) -> CauseModel:
        """The inverse of `as_dict`."""
        return CauseModel(
            Encoding.from_dict(stored["encoding"]), tuple(stored["causes"]), stored["trees"], stored["sharpness"],
            stored["confident_from"],
        )  # fmt: skip


@dataclass(frozen=True)
class Training:
    """What a training came to.

    Attributes:
        model: None where there was not enough to learn from; `missing` says what.
        missing: For people: what is there of what is needed.
        parts: Which of the rows, in their order, fitted, calibrated and judged.
        metrics: Figures on the judged rows, those of the baselines among them.
        margin: By how much the score must be above the baseline's to be above chance (95 %, days resampled).
    """

    model: CauseModel | None
    missing: str
    parts: Parts | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    margin: float = 0.0

    @property
    def score(self) -> float | None:
        """Log-loss saved against the class prior, in natural units; the prior itself has 0."""
        found = self.metrics.get("log_loss_saved")
        return None if found is None else float(found)


SCORE_NAME = "log-loss saved against the prior"


def train_causes(
    features: pd.DataFrame, causes: Labels, days: Labels, zone: str, without: Collection[str] = ()
) -> Training:
    """Train on named stops.

    Args:
        features: Rows of `stop_features` in order of time.
        causes: The cause of each that was named later.
        days: The production date of each; a day is never divided between training and judging.
        zone: The plant's zone.
        without: Columns the model may not read, e.g. because the causes were made from them.
    """
    parts = temporal_parts(days)
    learned, missing = _enough(causes, parts)
    if parts is None or missing:
        return Training(None, missing)
    known = np.isin(causes, learned)
    model = _fitted(features, causes, parts.fit & known, parts.calibrate & known, zone, without)
    judged = judge(model, features[parts.judge], causes[parts.judge], causes[parts.fit & known], days[parts.judge])
    return Training(model, "", parts, judged.metrics, judged.margin)


def temporal_parts(days: Labels, judged: float = JUDGED) -> Parts | None:
    """Earliest days fit, later ones calibrate, the latest judge; None for fewer than ten days."""
    known = sorted(set(days))
    if len(known) < 10:
        return None
    judge_from = known[int((1 - judged) * len(known))]
    before = [day for day in known if day < judge_from]
    calibrate_from = before[int((1 - CALIBRATED) * len(before))]
    at = np.array([0 if day < calibrate_from else 1 if day < judge_from else 2 for day in days])
    return Parts(at == 0, at == 1, at == 2)


def _enough(causes: Labels, parts: Parts | None) -> tuple[list[str], str]:
    """The causes that can be learned; and what is missing, if that is too little."""
    if parts is None:
        return [], "not enough data: named stops on at least 10 days are needed"
    counts = pd.Series(causes[parts.fit]).value_counts()
    learned = sorted(str(cause) for cause, count in counts.items() if count >= LABELS_PER_CAUSE)
    if len(learned) < 2:
        said = ", ".join(f"{cause} {count}" for cause, count in sorted(counts.items())) or "none"
        return [], (
            f"not enough data: at least two causes need {LABELS_PER_CAUSE} named stops each to learn from; there are: "
            f"{said}"
        )
    known = np.isin(causes, learned)
    for rows, needed, what in ((parts.calibrate, CALIBRATE_ON, "calibrate"), (parts.judge, JUDGE_ON, "judge")):
        there = int((rows & known).sum())
        if there < needed:
            return [], f"not enough data: {there} of {needed} later named stops to {what} on"
    return learned, ""


def _fitted(
    features: pd.DataFrame, causes: Labels, fit: npt.NDArray[np.bool_], calibrate: npt.NDArray[np.bool_],
    zone: str, without: Collection[str],
) -> CauseModel:  # fmt: skip
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.frozen import FrozenEstimator
    from sklearn.utils.class_weight import compute_sample_weight

    encoding = learn_encoding(features[fit].reset_index(drop=True), zone, without)
    weights = compute_sample_weight("balanced", causes[fit]) ** BALANCE
    trees = HistGradientBoostingClassifier(**TREES)
    trees.fit(encoding.matrix(features[fit].reset_index(drop=True)), causes[fit].astype(str), sample_weight=weights)
    calibrated = CalibratedClassifierCV(FrozenEstimator(trees), method="temperature")
    later = encoding.matrix(features[calibrate].reset_index(drop=True))
    calibrated.fit(later, causes[calibrate].astype(str))
    # Only the one number is kept: stored whole, the calibrated classifier holds all trees a second time.
    sharpness = float(np.ravel(calibrated.calibrated_classifiers_[0].calibrators[0].beta_)[0])
    names = tuple(str(cause) for cause in trees.classes_)
    probabilities = sharpened(trees.decision_function(later), sharpness)
    return CauseModel(encoding, names, trees, sharpness, _confident_from(probabilities, names, causes[calibrate]))


def sharpened(scores: Matrix, sharpness: float) -> Matrix:
    """Scores of trees as probabilities; of two causes there is one score, that of the second."""
    from scipy.special import softmax

    both = np.column_stack([np.zeros(len(scores)), scores]) if scores.ndim == 1 else scores
    return np.asarray(softmax(sharpness * both, axis=1), dtype=np.float64)


def _confident_from(probabilities: Matrix, names: tuple[str, ...], causes: Labels) -> float:
    """The lowest confidence from which the answers on the calibration days were right often enough; 1.01 if none."""
    best = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    right = np.array(names, dtype=object)[best] == causes
    order = np.argsort(-confidence, kind="stable")
    share = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero((share >= RIGHT_WHERE_IT_ANSWERS) & (np.arange(1, len(order) + 1) >= 10))
    return float(confidence[order[enough[-1]]]) if len(enough) else 1.01


@dataclass(frozen=True)
class Judged:
    """Figures on later stops."""

    metrics: dict[str, Any]
    margin: float


def judge(
    model: CauseModel, features: pd.DataFrame, causes: Labels, seen: Labels, days: Labels, seed: int = 0
) -> Judged:
    """How good a model is on stops it has not seen.

    Args:
        model: The model.
        features: Rows of `stop_features`.
        causes: Their causes; those the model does not know count as wrong, and not towards the log-loss.
        seen: Causes the model was fitted on: the prior, which is the baseline.
        days: Production dates, resampled whole for the intervals.
        seed: Of the resampling.
    """
    from sklearn.metrics import accuracy_score, f1_score

    probabilities = model.probabilities(features.reset_index(drop=True))
    names = np.array(model.causes, dtype=object)
    best, confidence = names[probabilities.argmax(axis=1)], probabilities.max(axis=1)
    prior = pd.Series(seen).value_counts(normalize=True).reindex(model.causes).fillna(0.0).to_numpy()
    majority = names[prior.argmax()]
    known = np.isin(causes, names)
    place = {name: nth for nth, name in enumerate(model.causes)}
    column = np.array([place.get(cause, 0) for cause in causes])
    loss = -np.log(np.clip(probabilities[np.arange(len(causes)), column], 1e-15, 1.0))
    prior_loss = -np.log(np.clip(prior[column], 1e-15, 1.0))
    saved = np.where(known, prior_loss - loss, 0.0)
    right = best == causes
    answered = confidence >= model.confident_from
    order = np.argsort(-confidence, kind="stable")
    rng = np.random.default_rng(seed)
    means = resampled_by_day(saved, days, rng)
    f1 = [
        f1_score(causes[rows].astype(str), best[rows].astype(str), average="macro", zero_division=0.0)
        for rows in _days_drawn(days, rng, 100)
    ]
    metrics = {
        "stops_judged": len(causes),
        "stops_of_other_causes": int((~known).sum()),
        "accuracy": float(accuracy_score(causes.astype(str), best.astype(str))),
        "accuracy_of_majority": float((causes == majority).mean()),
        "macro_f1": float(f1_score(causes.astype(str), best.astype(str), average="macro", zero_division=0.0)),
        "macro_f1_low": float(np.quantile(f1, 0.025)),
        "macro_f1_high": float(np.quantile(f1, 0.975)),
        "macro_f1_of_majority": float(
            f1_score(causes.astype(str), np.full(len(causes), majority).astype(str), average="macro", zero_division=0.0)
        ),
        "log_loss": float(loss[known].mean()) if known.any() else float("nan"),
        "log_loss_of_prior": float(prior_loss[known].mean()) if known.any() else float("nan"),
        "log_loss_saved": float(saved.mean()),
        "answers": float(answered.mean()),
        "accuracy_where_it_answers": float(right[answered].mean()) if answered.any() else None,
        "accuracy_at_half": float(right[order[: max(len(order) // 2, 1)]].mean()),
        "accuracy_at_80": float(right[order[: max(int(0.8 * len(order)), 1)]].mean()),
    }
    return Judged(metrics, float(max(saved.mean() - np.quantile(means, 0.025), 0.0)))


def resampled_by_day(values: Matrix, days: Labels, rng: np.random.Generator, times: int = _RESAMPLED) -> Matrix:
    """Means of values when whole days are drawn with replacement: stops of a day are not independent."""
    return np.array([values[rows].mean() for rows in _days_drawn(days, rng, times)])


def _days_drawn(days: Labels, rng: np.random.Generator, times: int) -> list[npt.NDArray[np.int64]]:
    known = sorted(set(days))
    rows = {day: np.flatnonzero(days == day) for day in known}
    return [np.concatenate([rows[known[nth]] for nth in rng.integers(0, len(known), len(known))]) for _ in range(times)]


def fingerprint_of(features: pd.DataFrame, causes: Labels) -> str:
    """Hash of training rows: their own fingerprints with the causes."""
    digest = hashlib.sha256()
    for row in zip(features["machine_id"], features["stop_started_at"], features["fingerprint"], causes, strict=True):
        digest.update(repr((row[0], row[1].isoformat(), row[2], row[3])).encode())
    return digest.hexdigest()


def window_of(features: pd.DataFrame, rows: npt.NDArray[np.bool_]) -> tuple[dt.datetime, dt.datetime]:
    """First instant and end (excluded) of some rows."""
    times = features["stop_started_at"][rows]
    return times.min().to_pydatetime(), times.max().to_pydatetime() + dt.timedelta(microseconds=1)


def counts_by_cause(causes: Labels) -> Mapping[str, int]:
    """How many named stops there are of each cause."""
    return {str(cause): int(count) for cause, count in sorted(pd.Series(causes).value_counts().items())}
