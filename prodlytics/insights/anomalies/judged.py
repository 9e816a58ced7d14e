"""How good a process model is where nothing is labelled: false alarms, and deviations added by hand.

Belongs here: the figures that decide over promotion, and the same for the simplest detector there is. Does not belong
here: the decision (`prodlytics.insights.promotion`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
    found = np.zeros(2 * len(channels))
    for number, place in enumerate(places):
        for side, sign in enumerate((1.0, -1.0)):
            off = own.copy()
            off[:, number] += sign * ADDED_SD * float(np.nanstd(own[:, number]))
            found[2 * place + side] = score(model, off, segments, contexts).alarm[full].mean()
    return Judgement(float(clean.alarm[full].mean()), float(found.mean()), int(full.sum()))


def limits_of_each(training: Floats, values: Floats) -> Judgement:
    """The baseline: an alarm where any channel is outside its mean plus or minus three standard deviations."""
    centre, scale = np.nanmean(training, axis=0), np.maximum(np.nanstd(training, axis=0), 1e-9)
    outside = np.abs(values - centre) > LIMIT_SD * scale
    clean = outside.any(axis=1)
    found = []
    for place in range(values.shape[1]):
        others = np.delete(outside, place, axis=1).any(axis=1)
        for sign in (1.0, -1.0):
            moved = values[:, place] + sign * ADDED_SD * float(np.nanstd(values[:, place]))
            found.append(float((others | (np.abs(moved - centre[place]) > LIMIT_SD * scale[place])).mean()))
    return Judgement(float(clean.mean()), float(np.mean(found)), len(values))
