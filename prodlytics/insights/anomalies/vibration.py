"""Vibration severity by the machine's own limits, and its change since it was installed.

Belongs here: zones, baseline, when a level or a change is worth saying. Does not belong here: the limits (they are in
the plant file, with their source; ISO 20816-1:2016, ISO 10816-1:1995).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from prodlytics.insights.anomalies.episodes import Severity, hysteresis

Zone = Literal["A", "B", "C", "D"]

#: Minutes over which a level is taken: a single blow is no vibration severity.
LEVEL_MIN = 10
#: An episode ends when the level is below this share of what began it.
ENDS_AT = 0.9


@dataclass(frozen=True)
class Limits:
    """Zone boundaries in mm/s r.m.s. velocity."""

    ab: float
    bc: float
    cd: float


def zone(level: float, limits: Limits) -> Zone:
    """The zone of a level; a value exactly on a boundary is in the better one."""
    if level <= limits.ab:
        return "A"
    if level <= limits.bc:
        return "B"
    return "C" if level <= limits.cd else "D"


def baseline(minutes: npt.NDArray[np.float64], needed: int) -> float | None:
    """Median of the first `needed` running minutes after installation; None while there are fewer."""
    known = minutes[~np.isnan(minutes)]
    return float(np.median(known[:needed])) if len(known) >= needed else None


def levels(minutes: npt.NDArray[np.float64], segments: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Median of the last minutes of each row, within its stretch; not a number before there are enough."""
    frame = pd.Series(minutes).groupby(segments, sort=False).rolling(LEVEL_MIN, min_periods=LEVEL_MIN // 2).median()
    return np.asarray(frame.droplevel(0).sort_index().to_numpy(dtype=np.float64))


def alarms(
    level: npt.NDArray[np.float64], limits: Limits, base: float | None, change_share: float
) -> npt.NDArray[np.bool_]:
    """Where the level is in zone C or D, or has risen from the baseline by a share of the B/C boundary.

    ISO 20816-1 judges both: the level (criterion I) and its change (criterion II; 25 % of B/C is its usual value).
    """
    begins = limits.bc
    if base is not None:
        begins = min(begins, base + change_share * limits.bc)
    return hysteresis(level, begins, ENDS_AT * begins)


def severity_of(level: float, limits: Limits) -> Severity:
    """Zone D can damage the machine, zone C is not for long, a change alone wants an explanation."""
    found = zone(level, limits)
    return "high" if found == "D" else "medium" if found == "C" else "low"
