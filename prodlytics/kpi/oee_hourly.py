"""Elements and ratios of OEE per machine and hour.

Belongs here: hours as groups. Does not belong here: adding up (`elements`), dividing (`oee`), building the ledger
(`machine_time`).
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from prodlytics.datasets.registry import DATASETS
from prodlytics.kpi import spans
from prodlytics.kpi.elements import Ledger, add_up, counted
from prodlytics.kpi.oee import ratios
from prodlytics.plant.model import Machine, Plant

COLUMNS = list(DATASETS["oee_hourly"].columns)


def derive_oee_hourly(
    plant: Plant,
    machine: Machine,
    ledger: pd.DataFrame,
    events: pd.DataFrame,
    start: dt.datetime,
    end: dt.datetime,
    as_of: dt.datetime,
) -> pd.DataFrame:
    """One row per hour that the ledger covers; two where the production date changes inside it.

    Args:
        plant: Convention and ideal cycles of the parts.
        machine: Its own ideal cycle counts where a part has none on it.
        ledger: Rows of `machine_time` in the window.
        events: Rows of `production_events` in the window. A part belongs to the hour of its event. Parts flagged
            `estimated`, or made while the state was unknown, have no time to be compared with: they go to the gap
            counts (rework with the rejects) and not into the ratios.
        start: Aware start of the window, at the boundary of a production day.
        end: Aware end of the window.
        as_of: What was known when this was computed.

    Returns:
        Columns of `oee_hourly` without generated ones and revision. Times in microseconds, ratios uncapped. The
        fingerprint changes when anything the hour was computed from does.
    """
    cells = Ledger.of(ledger)
    parts = counted(plant, machine, cells, events, start, end)
    hours, first, hour = np.unique(spans.to_us(cells.rows["time_bucket"]), return_index=True, return_inverse=True)
    hour = hour.astype(np.int64)
    frame = add_up(cells, hour, parts, hour[parts.row], len(hours), plant.convention).assign(
        time_bucket=spans.from_us(hours),
        machine_id=np.full(len(hours), machine.id, dtype=object),
        production_date=spans.texts(cells.rows["production_date"])[first],
        as_of=spans.from_us(np.full(len(hours), spans.instant_us(as_of), dtype=np.int64)),
    )
    return ratios(frame, plant.convention)[COLUMNS]
