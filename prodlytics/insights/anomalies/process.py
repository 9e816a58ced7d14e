"""Does a machine run as it usually does? A windowed multivariate residual with a threshold from held-out operation.

Belongs here: fitting and scoring. Does not belong here: episodes (`episodes.py`), which rows are normal operation
(the caller), where models are kept.

The residual is the Mahalanobis distance of window means and deviations under a Ledoit-Wolf covariance. Normal
operation drifts, and a quantile of the rows a model was fitted on does not hold its rate on later ones. So levels are
taken from blocks of time the model did not see (blocked cross-fitting, a gap of one window around each block), and a
channel that only drifts in the training time is left out and named (`windows.swings`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from prodlytics.insights.anomalies.episodes import hysteresis
from prodlytics.insights.anomalies.windows import Floats, Ints, features, swings

#: Version of the features and of the statistic: a model is used with its own only.
FEATURE_VERSION = "windowed-residual-1"
#: The exponential tail starts at this quantile of the held-out distances.
TAIL_FROM = 0.90
#: Rows of a part before it is judged against its own mean; rarer parts are judged against all.
ROWS_OF_OWN = 240


@dataclass(frozen=True)
class Parameters:
    """Chosen before anything is scored, the same for every machine.

    Attributes:
        window: Rows in a window.
        folds: Blocks of time, each held out once.
        on: Quantile of the held-out distances above which an alarm begins.
        off: Quantile below which it ends again.
        min_swings: Fewer independent swings of a channel in the training time: it is left out as drifting.
        min_rows: Fewer rows of normal operation are not enough.
    """

    window: int = 20
    folds: int = 5
    on: float = 0.99
    off: float = 0.90
    min_swings: float = 8.0
    min_rows: int = 300


@dataclass(frozen=True)
class NotEnough:
    """Why nothing can be said, and how many rows or channels are missing."""

    missing: int
    of_what: str

    @property
    def sentence(self) -> str:
        """For people."""
        return f"not enough data: {self.missing} more {self.of_what} needed"


@dataclass(frozen=True)
class ProcessModel:
    """What is usual, in numbers and texts only, so that any format can store it.

    Attributes:
        channels: Names of the channels that are judged.
        left_out: Channel to why it is not judged (`constant`, `drifts`, `missing`).
        means: Mean of each channel by context (part); '' is all.
        centre: Mean of each feature; first window means, then window deviations.
        scale: Its standard deviation.
        covariance: Of the standardised features.
        on: Distance above which an alarm begins; off: below which it ends.
        tail_from: Distance at which the exponential tail begins; tail_scale: its mean excess.
    """

    channels: tuple[str, ...]
    left_out: dict[str, str]
    window: int
    rows: int
    means: dict[str, Floats]
    centre: Floats
    scale: Floats
    covariance: Floats
    on: float
    off: float
    tail_from: float
    tail_scale: float

    def as_plain(self) -> dict[str, Any]:
        """Arrays, numbers and texts, to be stored."""
        return {**vars(self), "channels": list(self.channels)}

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> ProcessModel:
        """What `as_plain` gave."""
        return ProcessModel(**{**plain, "channels": tuple(plain["channels"])})


@dataclass(frozen=True)
class Scored:
    """What a model says of rows.

    Attributes:
        distance: Root of the squared distance; not a number where the window is not full.
        tail: Estimated probability of such a distance or a larger one in normal operation.
        alarm: Whether the row is in an alarm (hysteresis between the two levels).
        shares: How far each channel alone is off (rows by channels), squared distance of its own mean and deviation.
        deviations: Window mean of each channel less its usual, in standard deviations of window means.
        means: Window mean of each channel, in its own unit.
        usual: What it usually is there, in its own unit.
    """

    distance: Floats
    tail: Floats
    alarm: npt.NDArray[np.bool_]
    shares: Floats
    deviations: Floats
    means: Floats
    usual: Floats


def fit(
    values: Floats,
    channels: Sequence[str],
    parameters: Parameters | None = None,
    segments: Ints | None = None,
    contexts: Sequence[str] | None = None,
) -> ProcessModel | NotEnough:
    """Learn what is usual from rows of normal operation, oldest first.

    Args:
        values: Rows by channels; not a number where nothing is known.
        channels: Their names.
        parameters: Without them the defaults.
        segments: Number of the stretch each row belongs to; a window never reaches over its edge. None: one stretch.
        contexts: Part in work at each row, or ''. None: not known.
    """
    parameters = parameters or Parameters()
    if len(values) < parameters.min_rows:
        return NotEnough(parameters.min_rows - len(values), "rows of normal operation")
    stretch = np.zeros(len(values), dtype=np.int64) if segments is None else segments
    labels = np.full(len(values), "", dtype=object) if contexts is None else np.asarray(contexts, dtype=object)
    left_out = _left_out(values, channels, parameters)
    kept = [place for place, name in enumerate(channels) if name not in left_out]
    if not kept:
        return NotEnough(1, "steady channel")
    own = values[:, kept]
    means = _means(own, labels)
    found = features(own - _usual(means, labels), stretch, parameters.window)
    usable = np.flatnonzero(~np.isnan(found).any(axis=1))
    needed = max(parameters.min_rows - parameters.window, 2 * parameters.folds * parameters.window)
    if len(usable) < needed:
        return NotEnough(needed - len(usable), "full windows of normal operation")
    good = found[usable]
    held_out = _held_out(good, parameters)
    centre, scale, covariance = _usual_shape(good)
    tail_from = float(np.quantile(held_out, TAIL_FROM))
    excess = held_out[held_out > tail_from] - tail_from
    return ProcessModel(
        channels=tuple(channels[place] for place in kept),
        left_out=left_out,
        window=parameters.window,
        rows=len(values),
        means=means,
        centre=centre,
        scale=scale,
        covariance=covariance,
        on=float(np.quantile(held_out, parameters.on)),
        off=float(np.quantile(held_out, parameters.off)),
        tail_from=tail_from,
        tail_scale=float(excess.mean()) if len(excess) else 1.0,
    )


def score(
    model: ProcessModel, values: Floats, segments: Ints | None = None, contexts: Sequence[str] | None = None
) -> Scored:
    """Judge rows, oldest first; their columns are the model's channels in its order."""
    stretch = np.zeros(len(values), dtype=np.int64) if segments is None else segments
    labels = np.full(len(values), "", dtype=object) if contexts is None else np.asarray(contexts, dtype=object)
    usual = _usual(model.means, labels)
    found = features(values - usual, stretch, model.window)
    standard = (found - model.centre) / model.scale
    distance = np.sqrt(_squared(standard, model.covariance))
    beyond = np.maximum(distance - model.tail_from, 0.0) / model.tail_scale
    tail = np.where(np.isnan(distance), np.nan, (1 - TAIL_FROM) * np.exp(-beyond))
    count = len(model.channels)
    shares = np.stack([_of_channel(standard, model.covariance, place, count) for place in range(count)], axis=1)
    return Scored(
        distance=distance,
        tail=tail,
        alarm=hysteresis(distance, model.on, model.off),
        shares=shares,
        deviations=standard[:, :count],
        means=found[:, :count] + usual,
        usual=usual + model.centre[:count],
    )


def _left_out(values: Floats, channels: Sequence[str], parameters: Parameters) -> dict[str, str]:
    """Channels that cannot be judged, and why."""
    known = ~np.isnan(values)
    moves = swings(values, parameters.window)
    why: dict[str, str] = {}
    for place, name in enumerate(channels):
        own = values[known[:, place], place]
        if len(own) < 0.5 * len(values):
            why[name] = "missing"
        elif np.ptp(own) == 0:
            why[name] = "constant"
        elif moves[place] < parameters.min_swings:
            why[name] = "drifts"
    return why


def _means(values: Floats, labels: npt.NDArray[np.object_]) -> dict[str, Floats]:
    """Mean of the channels over all rows, and of each part that has rows enough."""
    found = {"": np.asarray(np.nanmean(values, axis=0), dtype=np.float64)}
    for label in sorted({str(one) for one in labels} - {""}):
        own = values[labels == label]
        if len(own) >= ROWS_OF_OWN and not np.isnan(own).all(axis=0).any():
            found[label] = np.asarray(np.nanmean(own, axis=0), dtype=np.float64)
    return found


def _usual(means: Mapping[str, Floats], labels: npt.NDArray[np.object_]) -> Floats:
    usual: Floats = np.tile(means[""], (len(labels), 1))
    for label, mean in means.items():
        if label:
            usual[labels == label] = mean
    return usual


def _usual_shape(good: Floats) -> tuple[Floats, Floats, Floats]:
    """Centre, scale and shrunk covariance of features (Ledoit and Wolf 2004)."""
    from sklearn.covariance import ledoit_wolf

    centre = good.mean(axis=0)
    scale = np.maximum(good.std(axis=0), 1e-9)
    covariance, _ = ledoit_wolf((good - centre) / scale, assume_centered=True)
    return centre, scale, np.asarray(covariance, dtype=np.float64)


def _held_out(good: Floats, parameters: Parameters) -> Floats:
    """Distance of each row from what the others say, those within a window of its block left out."""
    edges = np.linspace(0, len(good), parameters.folds + 1).astype(int)
    rows = np.arange(len(good))
    found = np.empty(len(good))
    for first, last in pairwise(edges):
        others = good[(rows < first - parameters.window) | (rows >= last + parameters.window)]
        centre, scale, covariance = _usual_shape(others)
        found[first:last] = np.sqrt(_squared((good[first:last] - centre) / scale, covariance))
    return found


def _squared(standard: Floats, covariance: Floats) -> Floats:
    """Squared Mahalanobis distance; of a row with missing features what is as unlikely of all as that of the others."""
    missing = np.isnan(standard)
    found: Floats = np.full(len(standard), np.nan)
    for pattern in np.unique(missing, axis=0):
        rows = (missing == pattern).all(axis=1)
        known = ~pattern
        if known.sum() * 2 < len(pattern) or not known.any():
            continue
        part = standard[np.ix_(rows, known)]
        solved = np.linalg.solve(covariance[np.ix_(known, known)], part.T).T
        found[rows] = _as_of(np.asarray((part * solved).sum(axis=1)), int(known.sum()), len(pattern))
    return found


def _as_of(squared: Floats, known: int, wanted: int) -> Floats:
    """A chi-squared value of some degrees of freedom as the one of others with its tail (Wilson and Hilferty 1931)."""
    if known == wanted:
        return squared
    mine, theirs = 2 / (9 * known), 2 / (9 * wanted)
    normal = (np.cbrt(squared / known) - (1 - mine)) / np.sqrt(mine)
    return np.asarray(wanted * np.maximum(1 - theirs + normal * np.sqrt(theirs), 0.0) ** 3, dtype=np.float64)


def _of_channel(standard: Floats, covariance: Floats, place: int, count: int) -> Floats:
    """Squared distance of one channel's own mean and deviation."""
    both = [place, place + count]
    part = standard[:, both]
    solved = np.linalg.solve(covariance[np.ix_(both, both)], part.T).T
    return np.asarray((part * solved).sum(axis=1), dtype=np.float64)


def with_later_levels(model: ProcessModel, later: Floats, parameters: Parameters) -> ProcessModel:
    """The model with levels no lower than those of later normal operation (its distances): what drifted since counts.

    Levels are never lowered: a quiet week is not what normal operation looks like.
    """
    known = later[~np.isnan(later)]
    if len(known) < parameters.window * parameters.folds:
        return model
    on, off, tail_from = (float(np.quantile(known, share)) for share in (parameters.on, parameters.off, TAIL_FROM))
    start = max(model.tail_from, tail_from)
    excess = known[known > start] - start
    return replace(
        model,
        on=max(model.on, on),
        off=max(model.off, off),
        tail_from=start,
        tail_scale=max(model.tail_scale, float(excess.mean()) if len(excess) else 0.0),
    )
