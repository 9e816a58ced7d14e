"""Landed tables of records: what people said, orders, costs.

Belongs here: the rows of one file or one sync, what of them is quarantined and the dirty marks, in the caller's
transaction. Does not belong here: the rules of one dataset (`landed_<dataset>.py`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO

import pandas as pd

from prodlytics.db import locks, quarantine
from prodlytics.formats.names import MachineNames
from prodlytics.formats.records import Record, RecordField, read_records
from prodlytics.sources import landed_costs, landed_cycles, landed_entries, landed_orders
from prodlytics.sources.counts import Counts
from prodlytics.sources.unpack import unpacked

if TYPE_CHECKING:
    import psycopg

    from prodlytics.plant.model import LandingFormat, Plant

_DATASETS = {
    "operator_entries": (landed_entries.FIELDS, landed_entries.check, landed_entries.store),
    "work_orders": (landed_orders.FIELDS, landed_orders.check, landed_orders.store),
    "part_costs": (landed_costs.FIELDS, landed_costs.check, landed_costs.store),
    "ideal_cycles": (landed_cycles.FIELDS, landed_cycles.check, landed_cycles.store),
}


def load_records(
    conn: psycopg.Connection[Any], plant: Plant, form: LandingFormat, file: BinaryIO, name: str, now: dt.datetime
) -> Counts:
    """Store one file's records.

    Raises:
        UnreadableFileError: The file as a whole cannot be read.
    """
    is_parquet = name.lower().removesuffix(".gz").endswith((".parquet", ".pq"))
    content = unpacked(file, name, seekable=is_parquet)
    records = read_records(content, "parquet" if is_parquet else "csv", form, fields_of(form.dataset))
    return store_records(conn, plant, form, records, name, f"landed file {name}", now)


def fields_of(dataset: str) -> tuple[RecordField, ...]:
    """The fields a record of this dataset has."""
    return _DATASETS[dataset][0]


def store_records(
    conn: psycopg.Connection[Any],
    plant: Plant,
    form: LandingFormat,
    records: list[Record],
    origin: str,
    cause: str,
    now: dt.datetime,
    amended: Callable[[list[Record]], list[Record]] = lambda records: records,
) -> Counts:
    """Store records, whoever brought them: check, upsert, dirty marks, quarantine, in the caller's transaction.

    Args:
        conn: An open connection.
        plant: The plant.
        form: The dataset, and the name that stands for the source where a record names none.
        records: Typed records.
        origin: File or system, as quarantine names it.
        cause: What dirty marks and restatements give as the reason.
        now: Our clock.
        amended: What to store instead of the checked records, asked while nobody else writes such records.
    """
    _, check, store = _DATASETS[form.dataset]
    names = MachineNames.of(plant)
    for record in records:
        _machine(record, names)
        if record.problem is None:
            check(record, plant, form, now)
    # Whoever else writes these records at the same moment waits: what is compared must not change meanwhile.
    locks.lock_dataset(conn, form.dataset)
    records = amended(records)
    sound = [record for record in records if record.problem is None]
    stored = store(conn, plant, sound, form, cause, now)
    refused = [record.bad_row() for record in records if record.problem is not None]
    quarantined = quarantine.store(conn, form.dataset, pd.DataFrame(refused), origin=origin) if refused else 0
    counts = Counts(rows_in=len(records), stored=stored, quarantined=quarantined)
    counts.duplicate = (len(refused) - quarantined) + sum(record.problem is None for record in sound) - stored
    return counts


def _machine(record: Record, names: MachineNames) -> None:
    """The machine as we call it; a name nobody configured is not guessed."""
    said = record.values.get("machine_id")
    if said is None:
        return
    machine = names.ids.get(said)
    if machine is None:
        record.refuse(
            "unknown_machine",
            f"nobody configured {said!r}: add it to plant.yaml under machines, as an id or in the aliases of the "
            "machine it means, and the file is read again",
        )
    record.values["machine_id"] = machine
