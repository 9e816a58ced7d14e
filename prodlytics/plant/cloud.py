"""What the plant file says about forwarding to the cloud.

Belongs here: how often, and what may be left out. Does not belong here: where to and with which key (`settings`).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from prodlytics.plant.values import Positive, Strict


class Cloud(Strict):
    """How samples are forwarded to Azure IoT Hub; whether they are says the environment.

    Of states, faults, alarms and counters of the machines every change is sent: nothing here can drop them.
    """

    urgent_s: Annotated[float, Field(gt=0, le=20)] = 10.0
    "How long changes of state, faults and alarms may wait for company; 30 s until they have left."
    batch_s: Annotated[float, Field(gt=0, le=3600)] = 60.0
    "How long all else may wait."
    repeat_after_s: Positive = 900.0
    "A value that does not change is sent again after so long."
    dead_bands: dict[str, Positive] = Field(default_factory=dict)
    "Metric to how far it has to move from what was sent last, in its own unit; others are sent when they change."
