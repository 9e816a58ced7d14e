"""What the plant says about anomalies: how many false alarms it accepts, what to look at, what may be behind them.

Belongs here: settings and their defaults. Does not belong here: how an anomaly is found (`prodlytics.insights`).
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import Field

from prodlytics.plant.values import Positive, Share, Strict

Detector = Literal["process", "scrap", "vibration"]


class Hypothesis(Strict):
    """One line of the rule table: when a sensor stands out so, this may be behind it.

    `sensor`: glob on the tag's name, matched against the first three contributors; without one the rule fits every
    episode of its detector. `check`: what to look at first.
    """

    hypothesis: str
    detector: Detector = "process"
    sensor: str | None = None
    direction: Literal["high", "low", "any"] = "any"
    at_least_sd: Annotated[float, Field(ge=0)] = 1.0
    check: str | None = None


DEFAULT_HYPOTHESES = (
    Hypothesis(
        hypothesis="Bearing wear, imbalance or a loose mounting",
        sensor="*vibration*",
        direction="high",
        check="Feel and listen at the bearing, tighten the mounting, compare with the baseline.",
    ),
    Hypothesis(
        hypothesis="Coolant, friction or overload",
        sensor="*temperature*",
        direction="high",
        check="Coolant level and flow, lubrication, load.",
    ),
    Hypothesis(
        hypothesis="More load than usual: a worn tool, harder material or friction",
        sensor="*power*",
        direction="high",
        check="Tool, material batch, feed.",
    ),
    Hypothesis(
        hypothesis="Less load than usual: nothing cut, a broken tool or an empty fixture",
        sensor="*power*",
        direction="low",
        check="Tool and part in the fixture.",
    ),
    Hypothesis(
        hypothesis="A leak, a closed valve or a weak pump",
        sensor="*pressure*",
        direction="low",
        check="Valves, hoses and pump.",
    ),
    Hypothesis(
        hypothesis="A valve, a filter or a pump",
        sensor="*flow*",
        direction="low",
        check="Valve position, filter, pump.",
    ),
    Hypothesis(
        hypothesis="Another speed than the part usually has: program or override",
        sensor="*speed*",
        check="Override and program.",
    ),
    Hypothesis(
        detector="scrap",
        hypothesis="Material batch, tool condition or setup",
        check="Batch and tool of these pieces, first article.",
    ),
    Hypothesis(
        detector="vibration",
        sensor="*vibration*",
        hypothesis="Bearing wear, imbalance or a loose mounting",
        check="Bearing, mounting, balance; compare with the baseline.",
    ),
)


class Anomalies(Strict):
    """Settings of the anomaly detectors; shares between 0 and 1."""

    false_alarm_share: Share = 0.05
    "Of normal running time that may be in an alarm; a model that exceeds it later is not used."
    min_episode_min: Positive = 10
    ignored_metrics: tuple[str, ...] = ()
    "Globs on tag names that say nothing about the process."
    scrap_min_pieces: Annotated[int, Field(ge=1)] = 50
    scrap_tail: Share = 0.001
    "Probability under the part's own history below which a count of rejects is an anomaly."
    vibration_metric: str = "Vibration_Velocity_mms"
    vibration_change_share: Share = 0.25
    "Rise from the baseline, as a share of the B/C boundary, that is worth saying."
    vibration_baseline_h: Positive = 24
    "Running hours after the installation that make the baseline."
    vibration_installed: dict[str, dt.date] = Field(default_factory=dict)
    "Machine id to the production day its sensor was mounted, or the bearing was renewed; else the plant's first day."
    hypotheses: tuple[Hypothesis, ...] = DEFAULT_HYPOTHESES
