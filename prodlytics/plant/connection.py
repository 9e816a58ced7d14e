"""Other systems that are asked for orders, costs, reasons and figures.

Belongs here: what `plant.yaml` says of one. Does not belong here: keys and passwords (the environment), what a kind of
system needs besides (its adapter in `prodlytics.sources.adapters`).
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from prodlytics.plant.values import Strict, Zone


def _usual_min(said: dict[str, Any]) -> int:
    return 5 if said.get("kind") == "machinemetrics" else 15


class Connection(Strict):
    """A system that is asked on a schedule.

    Its keys come from the environment: `PRODLYTICS_<NAME>_<SECRET>`, e.g. `PRODLYTICS_ERP_API_KEY` for the connection
    `erp`.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,29}$")]
    "What it is called in `sync_state`, quarantine and the environment."
    kind: str
    "Which system it is: the name of a module of `prodlytics.sources.adapters`."
    url: str
    "Address without what belongs to a single question."
    every_min: Annotated[int, Field(ge=1, le=30)] = Field(default_factory=_usual_min)
    "How often it is asked; MachineMetrics every 5 minutes, an ERP every 15."
    options: dict[str, str] = Field(default_factory=dict)
    "What this kind of system needs besides, e.g. the company."
    machines: dict[str, str] = Field(default_factory=dict)
    "Their name of a machine to ours, where the machine's aliases do not say it."
    timezone: Zone | None = None
    "Zone of its times that carry none; without it the plant's."
    ca_file: str | None = None
    "Authority that signed its certificate, where it is not one the system knows."
