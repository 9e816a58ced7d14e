"""MachineMetrics: what it measured for shifts, and the reasons people gave there.

Belongs here: what is set up for it. Does not belong here: what it says (`figures.py`, `annotations.py`), asking it
(`asked.py`), comparing its figures with ours (`kpi/reconciliation.py`): they are kept beside ours, never as ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from prodlytics.sources.adapters.machinemetrics.annotations import Annotations
from prodlytics.sources.adapters.machinemetrics.asked import Asked, Pace
from prodlytics.sources.adapters.machinemetrics.figures import MEASURES, Figures
from prodlytics.sources.ask import session
from prodlytics.sources.connections import ConnectionSetupError

if TYPE_CHECKING:
    from prodlytics.plant.connection import Connection
    from prodlytics.plant.model import Plant

OPTIONS: Mapping[str, str | None] = {
    # shift, or day where their shifts are not the plant's.
    "per": "shift",
    # Fewer of them, where a company has no use of the others or its MachineMetrics does not know them.
    "metrics": " ".join(MEASURES),
    # Their names to ours, `Tool broke=TOOL_BREAK; Waiting=MATL_SHORTAGE`, where they are not called the same.
    "shifts": "",
    "reasons": "",
    # Fields of an annotation that their public pages do not name: its identity, when it was changed, who did it.
    "annotation_id": "",
    "annotation_changed": "",
    "annotation_user": "",
}
SECRETS = ("api_key",)

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def adapters(
    connection: Connection, options: Mapping[str, str], secrets: Mapping[str, str], plant: Plant
) -> Sequence[Figures | Annotations]:
    """Figures of shifts (or days) and reasons of downtime."""
    if options["per"] not in ("shift", "day"):
        raise ConnectionSetupError(f"Connection {connection.name}: write shift or day as the option per.")
    if not (metrics := options["metrics"].split()) or set(metrics) - set(MEASURES):
        raise ConnectionSetupError(f"Connection {connection.name}: write metrics as some of {' '.join(MEASURES)}.")
    for name in ("annotation_id", "annotation_changed", "annotation_user"):
        if options[name] and not _NAME.fullmatch(options[name]):
            raise ConnectionSetupError(f"Connection {connection.name}: {name} is to be the name of one field.")
    over = session({"Authorization": f"Bearer {secrets['api_key']}"}, ca_file=connection.ca_file)
    asked = Asked(connection, dict(options), plant, over, Pace())
    return Figures(asked), Annotations(asked)
