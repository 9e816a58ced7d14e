"""Which model is used: champion, challenger and baseline on the same later window.

Belongs here: the decision and its sentence. Does not belong here: scores (each model has its own), the registry.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """Whether a challenger is promoted, and why, in a sentence."""

    promoted: bool
    why: str


def decide(
    score_name: str,
    challenger: float | None,
    baseline: float | None,
    champion: float | None = None,
    *,
    margin: float = 0.0,
    pinned: bool = False,
) -> Verdict:
    """Judge a challenger; more is better, and all three were measured on the same later window.

    Args:
        score_name: For the sentence.
        challenger: Score of the new model; None or not a number: it could not be judged.
        baseline: Score of the simplest answer there is.
        champion: Score of the model in use on that window; None without one.
        margin: By how much the baseline has to be beaten: the uncertainty of the comparison.
        pinned: Whether somebody fixed the model in use.
    """
    if challenger is None or baseline is None or not (math.isfinite(challenger) and math.isfinite(baseline)):
        return Verdict(False, f"not promoted: {score_name} could not be measured on a later window")
    figures = f"{score_name} {challenger:.3f}, baseline {baseline:.3f}"
    if challenger <= baseline + margin:
        needed = f" by more than {margin:.3f}" if margin > 0 else ""
        return Verdict(False, f"not promoted: it does not beat its baseline{needed} ({figures})")
    if pinned:
        return Verdict(False, f"not promoted: another version is pinned ({figures})")
    if champion is not None and math.isfinite(champion) and challenger <= champion:
        return Verdict(False, f"not promoted: the version in use is as good on the same window ({figures}, "
                              f"in use {champion:.3f})")  # fmt: skip
    in_use = "" if champion is None or not math.isfinite(champion) else f", in use until now {champion:.3f}"
    return Verdict(True, f"promoted: {figures}{in_use}")
