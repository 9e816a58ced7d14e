"""Paperwork as landed CSV files.

Belongs here: rows of our field names to the columns the plant's landing formats declare. Does not belong here: what
is in the rows (`paperwork.py`).
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from prodlytics.plant.model import LandingFormat, Plant
from prodlytics.simulator.paperwork import Row
from prodlytics.simulator.telemetry_files import put

TIME_FIELDS = frozenset({"starts_at", "ends_at", "entered_at", "started_at", "ended_at", "source_modified_at"})
PaperDataset = Literal["work_orders", "part_costs", "operator_entries"]


def write_csv(plant: Plant, landing: Path, dataset: PaperDataset, name: str, rows: Sequence[Row]) -> Path:
    """Write rows as the plant's first CSV format of that dataset reads them.

    Args:
        plant: For its landing formats.
        landing: The landing place.
        dataset: Which kind of rows.
        name: File name without folder and suffix.
        rows: Field to value; times in milliseconds since 1970.

    Raises:
        ValueError: The plant declares no CSV format for this dataset.
    """
    form = next((f for f in plant.landing if f.dataset == dataset and ".csv" in f.match), None)
    if form is None:
        raise ValueError(f"the plant file has no landing format that reads {dataset} from CSV; add one under `landing`")
    fields = sorted(form.columns, key=list(form.columns).index)
    text = io.StringIO()
    writer = csv.writer(text, delimiter=form.delimiter, lineterminator="\n")
    if form.header:
        writer.writerow([form.columns[field] for field in fields])
    for row in rows:
        writer.writerow([_shown(form, plant.zone, field, row.get(field)) for field in fields])
    path = landing / Path(form.match).parent / f"{name}.csv"
    put(path, text.getvalue().encode())
    return path


def _shown(form: LandingFormat, zone: ZoneInfo, field: str, value: object) -> object:
    if value is None:
        return ""
    if field not in TIME_FIELDS or not isinstance(value, int):
        return value
    instant = dt.datetime.fromtimestamp(value / 1000, dt.UTC)
    local = instant.astimezone(ZoneInfo(form.timezone) if form.timezone else zone)
    if form.time_format is not None:
        return local.strftime(form.time_format)
    return local.isoformat(timespec="milliseconds")
