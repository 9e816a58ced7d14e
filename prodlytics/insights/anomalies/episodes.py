"""From points in time to episodes people can act on.

Belongs here: where an alarm begins and ends, which channels stand out in it, how severe it is. Does not belong here:
the distance itself (`process.py`), what may be behind it (`hypotheses.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Severity = Literal["low", "medium", "high"]

#: Tail probability and minutes from which an episode is severe. A probability alone is no harm, a duration alone no
#: surprise: both count, and what is very unlikely counts at once.
HIGH = ((1e-4, 60.0), (1e-7, 0.0))
MEDIUM = ((1e-3, 30.0), (1e-5, 0.0))


@dataclass(frozen=True)
class Contributor:
    """A channel that is off in an episode.

    Attributes:
        share: Its part of what all channels are off, 0 to 1.
        deviation: Standard deviations from its usual; above zero: higher.
        value: Its mean in the episode, in its unit; usual: what it usually is then.
    """

    channel: str
    share: float
    deviation: float
    value: float
    usual: float


def hysteresis(level: npt.NDArray[np.float64], on: float, off: float) -> npt.NDArray[np.bool_]:
    """True from where `level` exceeds `on` until it is at or below `off`; what is not a number ends it."""
    state = np.full(len(level), -1, dtype=np.int8)
    state[~(level > off)] = 0
    state[level > on] = 1
    known = np.where(state >= 0, np.arange(len(level)), 0)
    if len(level) and state[0] < 0:
        state[0] = 0
    return np.asarray(state[np.maximum.accumulate(known)] == 1, dtype=np.bool_)


def spans(alarm: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First row and row behind the last of each unbroken run of True."""
    edges = np.flatnonzero(np.diff(np.r_[False, alarm, False].astype(np.int8)))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def severity(tail: float, minutes: float) -> Severity:
    """How severe: from the tail probability typical of the episode and how long it lasted."""
    if any(tail <= limit and minutes >= at_least for limit, at_least in HIGH):
        return "high"
    return "medium" if any(tail <= limit and minutes >= at_least for limit, at_least in MEDIUM) else "low"


def contributors(
    channels: Sequence[str],
    shares: npt.NDArray[np.float64],
    deviations: npt.NDArray[np.float64],
    means: npt.NDArray[np.float64],
    usual: npt.NDArray[np.float64],
) -> list[Contributor]:
    """The channels of an episode's rows, the one that is off most first; unknown ones are not named."""
    found = []
    known = [place for place in range(len(channels)) if not np.isnan(shares[:, place]).all()]
    total = sum(float(np.nanmean(shares[:, place])) for place in known)
    for place in known:
        found.append(
            Contributor(
                channels[place],
                float(np.nanmean(shares[:, place])) / total if total > 0 else 0.0,
                float(np.nanmean(deviations[:, place])),
                float(np.nanmean(means[:, place])),
                float(np.nanmean(usual[:, place])),
            )
        )
    return sorted(found, key=lambda one: (-one.share, one.channel))
