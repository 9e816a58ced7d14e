"""When a new model is used: only if it beats its baseline, and the one in use, on the same later window."""

from __future__ import annotations

import math

import pytest

from prodlytics.insights.promotion import decide


@pytest.mark.parametrize(
    ("challenger", "baseline", "champion", "margin", "pinned", "promoted", "says"),
    [
        (0.50, 0.30, None, 0.0, False, True, "promoted: macro-F1 0.500, baseline 0.300"),
        (0.50, 0.30, 0.45, 0.0, False, True, "in use until now 0.450"),
        (0.50, 0.30, 0.50, 0.0, False, False, "is as good on the same window"),
        (0.30, 0.30, None, 0.0, False, False, "does not beat its baseline"),
        (0.33, 0.30, None, 0.05, False, False, "by more than 0.050"),
        (0.50, 0.30, 0.40, 0.0, True, False, "another version is pinned"),
        (None, 0.30, None, 0.0, False, False, "could not be measured"),
        (math.nan, 0.30, None, 0.0, False, False, "could not be measured"),
        # A version in use that cannot be judged on the window does not keep a good one out.
        (0.50, 0.30, math.nan, 0.0, False, True, "promoted"),
    ],
)
def test_verdict(
    challenger: float | None, baseline: float | None, champion: float | None, margin: float, pinned: bool,
    promoted: bool, says: str,
) -> None:  # fmt: skip
    verdict = decide("macro-F1", challenger, baseline, champion, margin=margin, pinned=pinned)
    assert verdict.promoted is promoted
    assert says in verdict.why
