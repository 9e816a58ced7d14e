"""Landed files: each loaded once, whole or not at all, and never forgotten.

Belongs here: which files are new, and the transaction around one file: rows, quarantine, bookkeeping and dirty marks
together, so that a kill at any instant leaves nothing half done. Does not belong here: how a file is read and where its
rows go (`landed_samples.py`, `landed_records.py`).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import pandas as pd
import psycopg

from prodlytics.db import locks, quarantine
from prodlytics.db.connect import connect
from prodlytics.db.queries import sql
from prodlytics.formats.sample import UnreadableFileError
from prodlytics.sources.counts import Counts
from prodlytics.sources.landed_records import load_records
from prodlytics.sources.landed_samples import load_samples
from prodlytics.sources.place import FileGoneError, LandingPlace, PlacedFile

if TYPE_CHECKING:
    from prodlytics.plant.model import LandingFormat, Plant

#: Between a file's version and what the plant file said when the file was not understood completely.
_READ_BY = " read by "
#: Two loaders that write the same tags in different order can block each other; the server ends one of them.
_ATTEMPTS = 3


@dataclass(frozen=True)
class LandedFile:
    """A file that waits to be loaded."""

    name: str
    version: str
    size: int
    dataset: str
    form: LandingFormat
    read_as: str
    "Changes with the version and with what the plant file says about reading it."


@dataclass
class LandingReport:
    """What one round of loading did."""

    files: int = 0
    files_with_error: int = 0
    rows_in: int = 0
    rows_stored: int = 0
    rows_quarantined: int = 0
    rows_duplicate: int = 0

    def add(self, counts: Counts, *, error: bool) -> None:
        """Count one file."""
        self.files += 1
        self.files_with_error += error
        self.rows_in += counts.rows_in
        self.rows_stored += counts.stored
        self.rows_quarantined += counts.quarantined
        self.rows_duplicate += counts.duplicate


def pending(plant: Plant, landing_url: str, conn: psycopg.Connection[Any]) -> list[LandedFile]:
    """Files that are new, have changed, or could not be read as the plant file was written then; by name.

    Looks at names, sizes and times only: cheap enough for a sensor.

    Raises:
        LandingUnavailable: The landing place cannot be reached.
    """
    return list(_pending(plant, LandingPlace(landing_url), conn))


def load_pending(url: str, plant: Plant, landing_url: str, dataset: str | None = None) -> LandingReport:
    """Load every pending file, each in a transaction of its own.

    Args:
        url: The product's database.
        plant: Which file is what, and which machines there are.
        landing_url: Folder or container.
        dataset: Only files of this dataset.

    Raises:
        DatabaseUnavailable: The database cannot be reached.
        LandingUnavailable: The landing place cannot be reached.
    """
    report = LandingReport()
    place = LandingPlace(landing_url)
    with connect(url) as conn:
        with conn.transaction():
            waiting = [file for file in _pending(plant, place, conn) if dataset in (None, file.dataset)]
        for file in waiting:
            _load_with_patience(conn, plant, place, file, report)
    return report


def unclaimed(plant: Plant, landing_url: str) -> list[str]:
    """Names of files that no landing format of the plant matches: nobody will ever load them."""
    return [file.name for file in LandingPlace(landing_url).files() if _form(plant, file.name) is None]


def _form(plant: Plant, name: str) -> LandingFormat | None:
    return next((form for form in plant.landing if fnmatchcase(name, form.match)), None)


def _pending(plant: Plant, place: LandingPlace, conn: psycopg.Connection[Any]) -> Iterator[LandedFile]:
    known = set(conn.execute("SELECT name, version FROM landed_file").fetchall())
    for file in place.files():
        form = _form(plant, file.name)
        if form is None:
            continue
        plain, by_plant = _versions(plant, form, file)
        if not known & {(file.name, plain), (file.name, by_plant)}:
            yield LandedFile(file.name, file.version, file.size, form.dataset, form, by_plant)


def _versions(plant: Plant, form: LandingFormat, file: PlacedFile | LandedFile) -> tuple[str, str]:
    """A file as such, and a file as read by this plant file.

    One that was not understood completely is remembered with what it was read by: it is read again when the plant
    file says something else about formats, machine names or codes.
    """
    said = "\n".join(
        (
            form.model_dump_json(),
            repr([(m.id, m.aliases) for m in plant.machines]),
            plant.first_day.isoformat(),
            repr([(c.code, [r.code for r in c.reasons]) for c in plant.reasons]),
            repr([c.code for c in plant.scrap_categories]),
        )
    )
    return file.version, f"{file.version}{_READ_BY}{hashlib.sha256(said.encode()).hexdigest()[:12]}"


def _load_with_patience(
    conn: psycopg.Connection[Any], plant: Plant, place: LandingPlace, file: LandedFile, report: LandingReport
) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with conn.transaction():
                outcome = _load(conn, plant, place, file)
        except psycopg.errors.DeadlockDetected:
            if attempt == _ATTEMPTS:
                raise
        except FileGoneError:
            return  # Taken away or still being written: if it comes back, its version is new.
        else:
            if outcome is not None:
                report.add(outcome[0], error=outcome[1] is not None)
            return


def _load(
    conn: psycopg.Connection[Any], plant: Plant, place: LandingPlace, file: LandedFile
) -> tuple[Counts, str | None] | None:
    """One file in the caller's transaction; None if another loader was faster."""
    locks.lock(conn, f"landed/{file.name}")
    with tempfile.TemporaryFile() as copy:
        content_hash = place.fetch(PlacedFile(file.name, file.version, file.size), cast(BinaryIO, copy))
        key = {"name": file.name, "content_hash": content_hash}
        before = conn.execute(sql("select_landed_file"), key).fetchone()
        plain, by_plant = _versions(plant, file.form, file)
        if before is not None:
            _, read_by, plant_said = before[0].partition(_READ_BY)
            if not read_by or by_plant.endswith(_READ_BY + plant_said):
                # Another loader was faster, or the same content lies there anew.
                conn.execute(sql("update_landed_version"), {**key, "version": by_plant if read_by else plain})
                return None
            conn.execute(sql("delete_quarantined_file"), {"dataset": file.dataset, "name": file.name})
        counts, error = _content(conn, plant, file, cast(BinaryIO, copy), content_hash)
    if before is not None:
        # What this file stored when it was read before is a duplicate now, but its own.
        own = min(before[1], counts.duplicate)
        counts.stored, counts.duplicate = counts.stored + own, counts.duplicate - own
    understood = error is None and counts.quarantined == 0
    conn.execute(
        sql("upsert_landed_file"),
        {
            **key,
            "version": plain if understood else by_plant,
            "dataset": file.dataset,
            "size_bytes": file.size,
            "rows_in": counts.rows_in,
            "rows_stored": counts.stored,
            "rows_quarantined": counts.quarantined,
            "rows_duplicate": counts.duplicate,
            "first_time": counts.first_time,
            "last_time": counts.last_time,
            "error": error,
        },
    )
    return counts, error


def _content(
    conn: psycopg.Connection[Any], plant: Plant, file: LandedFile, copy: BinaryIO, content_hash: str
) -> tuple[Counts, str | None]:
    """The rows of a file, or one quarantined row that says why there are none."""
    load = load_samples if file.dataset == "machine_telemetry" else load_records
    try:
        with conn.transaction():
            return load(conn, plant, file.form, copy, file.name, dt.datetime.now(dt.UTC)), None
    except (UnreadableFileError, psycopg.DataError) as error:
        why = str(error).strip().splitlines()[0]
    row = {"reason": "unreadable_file", "detail": why, "payload": f"sha256 {content_hash}"}
    new = quarantine.store(conn, file.dataset, pd.DataFrame([row]), origin=file.name)
    return Counts(rows_in=1, quarantined=new, duplicate=1 - new), why
