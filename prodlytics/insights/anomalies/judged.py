"""How good a process model is where nothing is labelled: false alarms, and deviations added by hand.

Belongs here: the figures that decide over promotion, and the same for the simplest detector there is. Does not belong
here: the decision (`prodlytics.insights.promotion`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prodlytics.insights.anomalies.process import ProcessModel, score
from prodlytics.insights.anomalies.windows import Floats, Ints

SCORE_NAME = "share of added deviations found, less false alarms"
#: A deviation that is added: so many standard deviations of the channel's own minutes in later normal operation.
ADDED_SD = 2.0
#: The simplest detector: any channel so many standard deviations from its mean.
LIMIT_SD = 3.0


@dataclass(frozen=True)
class Judgement:
    """Measured on a later window of normal operation.

    Attributes:
        false_alarms: Share of its rows in an alarm.
        found: Share of rows in an alarm when one channel is off, mean over channels and both directions.
        rows: Rows that could be judged.
    """

    false_alarms: float
    found: float
    rows: int

    @property
    def score(self) -> float:
        """More is better; 0 for one that always or never alarms."""
        return self.found - self.false_alarms


def judge(
    model: ProcessModel, values: Floats, channels: list[str], segments: Ints, contexts: list[str]
) -> Judgement | None:
    """The model on later normal operation; None where no window is full. A channel it leaves out is never found."""
    places = [channels.index(name) for name in model.channels if name in channels]
    if len(places) < len(model.channels):
        return None
    own = values[:, places]
    clean = score(model, own, segments, contexts)
    full = ~np.isnan(clean.distance)
    if not full.any():
        return None
    added = added_to(len(values))
    found = {place: 0.0 for place in heard(values)}
    for number, place in enumerate(places):
        both = []
        for sign in (1.0, -1.0):
            off = own.copy()
            off[added, number] += sign * ADDED_SD * float(np.nanstd(own[:, number]))
            both.append(float(score(model, off, segments, contexts).alarm[full & added].mean()))
        found[place] = float(np.mean(both))
    return Judgement(float(clean.alarm[full].mean()), float(np.mean(list(found.values()))), int(full.sum()))


def added_to(count: int) -> npt.NDArray[np.bool_]:
    """Rows to which a deviation is added: one hour in four."""
    return np.asarray(np.arange(count) // 60 % 4 == 2, dtype=np.bool_)


def heard(values: Floats) -> list[int]:
    """Channels that say something in half of the rows and more, and not always the same."""
    known = ~np.isnan(values)
    return [
        place
        for place in range(values.shape[1])
        if known[:, place].mean() >= 0.5 and np.ptp(values[known[:, place], place]) > 0
    ]


def limits_of_each(training: Floats, values: Floats) -> Judgement:
    """The baseline: an alarm where any channel is outside its mean plus or minus three standard deviations."""
    kept = [place for place in heard(training) if place in heard(values)]
    training, values = training[:, kept], values[:, kept]
    centre, scale = np.nanmean(training, axis=0), np.maximum(np.nanstd(training, axis=0), 1e-9)
    outside = np.abs(values - centre) > LIMIT_SD * scale
    clean, added = outside.any(axis=1), added_to(len(values))
    found = []
    for place in range(values.shape[1]):
        others = np.delete(outside, place, axis=1).any(axis=1)
        for sign in (1.0, -1.0):
            moved = values[:, place] + sign * ADDED_SD * float(np.nanstd(values[:, place]))
            alarm = others | (np.abs(moved - centre[place]) > LIMIT_SD * scale[place])
            found.append(float(alarm[added].mean()))
    return Judgement(float(clean.mean()), float(np.mean(found)) if found else 0.0, len(values))
