"""What may be behind an episode: rules the plant file holds, each with the numbers that speak for it.

Belongs here: matching rules and wording evidence. Does not belong here: the rules (`prodlytics.plant.anomalies`). A
hypothesis is a place to look, not a proof.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from prodlytics.insights.anomalies.episodes import Contributor
from prodlytics.plant.anomalies import Hypothesis

#: Only channels that stand out can speak for a hypothesis.
AMONG_FIRST = 3


def hypotheses(
    detector: str, rules: Iterable[Hypothesis], found: Sequence[Contributor], evidence: str | None = None
) -> list[dict[str, Any]]:
    """Rules that fit, in the order of the plant file: text, evidence, check.

    Args:
        detector: process, scrap or vibration.
        rules: Those of the plant file.
        found: Contributors, the strongest first.
        evidence: What speaks for rules that name no sensor, e.g. the count of rejects.
    """
    fitting = []
    for rule in rules:
        if rule.detector != detector:
            continue
        speaks = [one for one in found[:AMONG_FIRST] if _fits(rule, one)]
        if rule.sensor is not None and not speaks:
            continue
        said = "; ".join(sentence(one) for one in speaks) or evidence
        if said:
            fitting.append({"hypothesis": rule.hypothesis, "evidence": said, "check": rule.check})
    return fitting


def _fits(rule: Hypothesis, one: Contributor) -> bool:
    if rule.sensor is None or not fnmatchcase(one.channel.lower(), rule.sensor.lower()):
        return False
    if rule.direction == "any":
        return True
    higher = one.value > one.usual
    return abs(one.deviation) >= rule.at_least_sd and higher == (rule.direction == "high")


def sentence(one: Contributor) -> str:
    """A contributor in words, with the numbers."""
    side = "above" if one.value > one.usual else "below"
    return (
        f"{one.channel} was {one.value:.4g}, {abs(one.value - one.usual):.3g} {side} its usual {one.usual:.4g} there "
        f"({abs(one.deviation):.1f} standard deviations)"
    )
