"""Why a figure was restated: what was marked for it, not all that happened in the plant."""

from __future__ import annotations

import datetime as dt

import pytest

from prodlytics.assets.causes import Causes

MONDAY = dt.datetime(2026, 11, 2, 12, tzinfo=dt.UTC)
DAY, HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)
CLAIMED = [
    ("M1", MONDAY, "new lunch"),
    ("M1", MONDAY + 5 * HOUR, "late file"),
    ("M1", MONDAY + DAY, "new cycle"),
    ("M2", MONDAY + 2 * DAY, "new map"),
]
CAUSES = Causes(CLAIMED, [MONDAY + n * DAY for n in range(4)], "recomputed")


@pytest.mark.parametrize(
    ("machine", "moment", "expected"),
    [
        ("M1", MONDAY + 23 * HOUR, "late file; new lunch"),
        ("M1", MONDAY + DAY, "new cycle"),
        # A stop of the day before goes on: the machine's own causes are nearest.
        ("M1", MONDAY + 2 * DAY, "late file; new cycle; new lunch"),
        ("M2", MONDAY, "new map"),
        # The plant, or a machine that was not marked: what was marked on that day.
        ("plant", MONDAY + 2 * DAY + HOUR, "new map"),
        ("M3", MONDAY + HOUR, "late file; new lunch"),
        ("M3", MONDAY + 9 * DAY, "late file; new cycle; new lunch; new map"),
    ],
)
def test_the_nearest_cause_is_said(machine: str, moment: dt.datetime, expected: str) -> None:
    assert CAUSES.of(machine, moment) == expected


def test_without_a_mark_it_was_recomputed() -> None:
    nothing = Causes([], [MONDAY], "oee_hourly recomputed")
    assert nothing.of("M1", MONDAY) == nothing.together == "oee_hourly recomputed"
