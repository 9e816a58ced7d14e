"""A plant small enough to see through, to be changed by each test."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from prodlytics.plant.model import Plant

THREE_SHIFTS = [
    {"name": "Shift 1", "start": "06:00", "end": "14:30"},
    {"name": "Shift 2", "start": "14:30", "end": "23:00"},
    {"name": "Shift 3", "start": "23:00", "end": "06:00"},
]

SETTINGS: dict[str, Any] = {
    "plant": "small",
    "name": "Small plant",
    "site": "Here",
    "timezone": "America/Chicago",
    "day_boundary": "06:00",
    "first_day": "2026-01-01",
    "currency": "USD",
    "machines": [
        {"id": "M1", "name": "One", "line": "L1", "state": {"map": {"1": "running"}}},
        {"id": "M2", "name": "Two", "line": "L1", "state": {"map": {"1": "running"}}},
    ],
    "shift_plans": [{"shifts": THREE_SHIFTS}],
    "reasons": [
        {"code": "MECH", "name": "Mechanical", "loss": "failure", "reasons": [{"code": "MECH_A", "name": "Bearing"}]},
    ],
}


def small_plant(**changes: Any) -> Plant:
    """The small plant with some settings replaced."""
    return Plant.model_validate(deepcopy(SETTINGS) | changes)
