"""A plant with people and channels, to write alerts for."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from prodlytics.plant.model import Plant
from prodlytics_tests.kpi.floor import SETTINGS

PEOPLE = [
    {"role": role, "name": role, "email": f"{role}@plant.example", "phone": "+13125550123"}
    for role in ("production_supervisor", "quality_manager", "plant_manager", "maintenance", "msp_help_desk",
                 "msp_engineer")
]  # fmt: skip
STATES = {"metric": "State", "map": {"1": "running", "2": "idle", "3": "fault", "4": "setup"}}


def plant(machines: int = 1, exceptions: Sequence[dict[str, Any]] = (), **alerts: Any) -> Plant:
    """Machines M1, M2 ... on line L1, planned around the clock but for `exceptions`.

    `alerts` as in the plant file, by default one e-mail channel.
    """
    settings = deepcopy(SETTINGS)
    settings["parts"] = []
    settings["contacts"] = PEOPLE
    settings["exceptions"] = list(exceptions)
    settings["machines"] = [
        {"id": f"M{i}", "name": f"Machine {i}", "line": "L1", "state": STATES,
         "counters": [{"metric": "Good", "counts": "good"}, {"metric": "Bad", "counts": "reject"}],
         "ideal_cycle_time_ms": 10_000,
         "vibration_limits": {"ab_mms": 1.12, "bc_mms": 2.8, "cd_mms": 7.1, "source": "ISO 10816-1 class II"}}
        for i in range(1, machines + 1)
    ]  # fmt: skip
    settings["alerts"] = {"channels": [{"name": "email", "kind": "email"}], **alerts}
    return Plant.model_validate(settings)
