"""Landed files of samples into `machine_telemetry`.

Belongs here: one file's samples, its quarantined rows and its dirty marks, in the caller's transaction. Does not
belong here: how a format is read (`formats`), how samples are stored (`db.telemetry`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from prodlytics.db import dirty, quarantine, telemetry
from prodlytics.formats import iot_hub, kepserverex, table
from prodlytics.formats.judge import Rules
from prodlytics.formats.sample import Parsed, losers_of
from prodlytics.sources.counts import Counts
from prodlytics.sources.touched import concerned
from prodlytics.sources.unpack import unpacked

if TYPE_CHECKING:
    import psycopg

    from prodlytics.plant.model import LandingFormat, Plant

_PARQUET = b"PAR1"


def load_samples(
    conn: psycopg.Connection[Any], plant: Plant, form: LandingFormat, file: BinaryIO, name: str, now: dt.datetime
) -> Counts:
    """Store one file's samples; a batch at a time, so that memory does not grow with the file.

    Raises:
        UnreadableFileError: The file as a whole cannot be read; the caller rolls back what was stored of it.
    """
    counts = Counts()
    touched: set[tuple[str, dt.datetime]] = set()
    for parsed in read_samples(file, form, Rules.of(plant, now), name):
        _store(conn, parsed, name, now, counts, touched)
    for datasets, moments in concerned(plant, touched, now):
        for dataset in datasets:
            dirty.mark(conn, dataset, moments, f"landed file {name}")
    return counts


def read_samples(file: BinaryIO, form: LandingFormat, rules: Rules, name: str) -> Iterator[Parsed]:
    """A file by its landing format, batch by batch; Parquet, Avro and gzip are known by their bytes."""
    if form.layout == "kepserverex":
        fields = kepserverex.Fields.named(form.columns)
        return kepserverex.parse_file(unpacked(file, name), rules, name, fields)
    if form.layout == "iot_hub":
        fields = kepserverex.Fields.named(form.columns)
        return iot_hub.parse_file(unpacked(file, name, seekable=True), rules, name, fields)
    content = unpacked(file, name, seekable=_says_parquet(name))
    if content.seekable():
        kind: table.Kind = "parquet" if content.read(4) == _PARQUET or _says_parquet(name) else "csv"
        content.seek(0)
    else:
        kind = "csv"
    return table.parse(content, kind, form, rules, name)


def _says_parquet(name: str) -> bool:
    return name.lower().removesuffix(".gz").endswith((".parquet", ".pq"))


def _store(
    conn: psycopg.Connection[Any],
    parsed: Parsed,
    name: str,
    now: dt.datetime,
    counts: Counts,
    touched: set[tuple[str, dt.datetime]],
) -> None:
    counts.rows_in += parsed.seen
    refused = quarantine.store(conn, "machine_telemetry", parsed.bad, origin=name)
    counts.quarantined += refused
    # A row that was refused before, in an earlier version of the same file, is no second row.
    counts.duplicate += len(parsed.bad) - refused
    if parsed.good.empty:
        return
    written = telemetry.write_samples(conn, parsed.good, ingested_at=now)
    lost = len(written.conflicts)
    kept = quarantine.store(conn, "machine_telemetry", losers_of(written.conflicts), origin=name) if lost else 0
    counts.quarantined += kept
    counts.duplicate += written.duplicates + lost - kept
    # Where a row took another's place the store has not grown: what there is more of is the loser, in quarantine.
    counts.stored += written.stored - int((written.conflicts["position"] == -1).sum())
    counts.heard(parsed.good["time"].min().to_pydatetime(), parsed.good["time"].max().to_pydatetime())
    touched |= written.touched
