"""The weekly backup, and its restore.

Belongs here: everything the archive does not hold. A backup is a folder `backups/<time>/` of the archive's place: what
all tables hold (pg_dump, data only), the samples of days that are not archived yet (Parquet), all of one snapshot, and
`backup.json`, written last, with hashes and row counts: a folder without it is no backup. A restore makes the tables
by the migrations the backup was made with, fills them, migrates on, and counts. Archived samples are not in it: they
come back with `prodlytics restore`.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql as compose

from prodlytics import __version__
from prodlytics.archive import parquet, programs
from prodlytics.archive.errors import ArchiveError
from prodlytics.archive.restore import load_local
from prodlytics.archive.retention import days_between, settled
from prodlytics.archive.shape import shape_of
from prodlytics.archive.store import ArchiveStore, file_sha256
from prodlytics.datasets.registry import DATASETS
from prodlytics.db.connect import connect
from prodlytics.db.migrate import migrate
from prodlytics.db.queries import sql
from prodlytics.db.sqlfiles import sql_folder
from prodlytics.plant.calendar import production_day

if TYPE_CHECKING:
    from prodlytics.plant.model import Plant

FOLDER = "backups"
#: How many generations are kept.
KEEP = 8
_NAME = re.compile(r"^\d{8}T\d{6}Z$")


@dataclass(frozen=True)
class Backup:
    """One backup, as its `backup.json` says it.

    Attributes:
        rows: Table to rows, in the snapshot.
        files: Path in the store to hash: the dump first, then samples.
        samples: Samples in it.
        migrations: Names of the migrations the database had.
    """

    name: str
    made_at: str
    code_version: str
    plant: str
    rows: dict[str, int]
    files: dict[str, str]
    samples: int
    size_bytes: int
    migrations: list[str]
    took_s: float


@dataclass
class Restored:
    """What a restore came to.

    Attributes:
        differing: Table to (rows in the backup, rows restored), where they are not the same.
    """

    name: str
    tables: int
    rows: int
    samples: int
    took_s: float
    differing: dict[str, tuple[int, int]] = field(default_factory=dict)


def make_backup(url: str, store: ArchiveStore, plant: Plant, now: dt.datetime, *, keep: int = KEEP) -> Backup:
    """Back up a database; old generations go once the new one is whole.

    Raises:
        ArchiveError: A program is missing, or the place cannot be written; nothing counts as a backup then.
        DatabaseUnavailable: The database cannot be reached.
    """
    began = time.monotonic()
    name = f"{now.astimezone(dt.UTC):%Y%m%dT%H%M%SZ}"
    with connect(url) as conn:
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        (snapshot,) = conn.execute("SELECT pg_export_snapshot()").fetchone() or ("",)
        tables = [table for (table,) in conn.execute(sql("select_tables_to_back_up")).fetchall()]
        rows = {table: _count(conn, table) for table in tables}
        migrations = [one for (one,) in conn.execute("SELECT name FROM schema_migration ORDER BY name").fetchall()]
        files: dict[str, str] = {}
        with store.staging() as dump:
            programs.run(
                "pg_dump", url, conn.info.server_version, "--format=custom", "--data-only", f"--snapshot={snapshot}",
                *(f"--table=public.{table}" for table in tables), f"--file={dump}",
            )  # fmt: skip
            size = _put(store, dump, f"{FOLDER}/{name}/tables.dump", files)
        samples = 0
        for date, start, end in _unarchived(conn, store, plant, now):
            with store.staging() as file:
                samples += _samples(conn, snapshot, plant, date, start, end, file)
                size += _put(store, file, f"{FOLDER}/{name}/machine_telemetry-{date}.parquet", files)
    took = round(time.monotonic() - began, 3)
    made = Backup(name, now.isoformat(), __version__, plant.plant, rows, files, samples, size, migrations, took)
    with store.staging() as file:
        file.write_text(json.dumps(vars(made), indent=1), encoding="utf-8")
        store.publish(file, f"{FOLDER}/{name}/backup.json")
    for old in backups(store)[:-keep]:
        _forget(store, old)
    return made


def backups(store: ArchiveStore) -> list[str]:
    """Names of the backups that are whole, oldest first."""
    found = (path.split("/") for path in store.list(FOLDER, suffix="backup.json"))
    return sorted(parts[1] for parts in found if len(parts) == 3 and _NAME.match(parts[1]))


def restore_backup(store: ArchiveStore, name: str, url: str) -> Restored:
    """Restore a backup into an empty database, and count what came back.

    Args:
        store: The archive's place.
        name: One of `backups`.
        url: An empty database; its user must own it.

    Raises:
        ArchiveError: No such backup, a damaged file, a database that is not empty, or a newer version is needed.
    """
    began = time.monotonic()
    made = _read(store, name)
    with connect(url) as conn:
        row = conn.execute("SELECT to_regclass('public.schema_migration') IS NULL").fetchone()
        if not row or not row[0]:
            raise ArchiveError("The database to restore into is not empty: make a new one, or give another.")
        version = conn.info.server_version
    with tempfile.TemporaryDirectory() as folder:
        local = _fetch(store, made, Path(folder))
        _migrate_as_then(url, made, Path(folder))
        dump, *samples = local
        # Only what the product needs: the tables are there, their triggers watch changes and not inserts.
        programs.run("pg_restore", url, version, "--data-only", "--single-transaction", "--no-owner",
                     f"--dbname={psycopg.conninfo.conninfo_to_dict(url)['dbname']}", str(dump))  # fmt: skip
        migrate(url)
        with connect(url) as conn:
            loaded = sum(load_local(conn, file, "machine_telemetry") for file in samples)
    with connect(url) as conn:
        counts = {table: _count(conn, table) for table in made.rows}
    differing = {table: (made.rows[table], counts[table]) for table in made.rows if counts[table] != made.rows[table]}
    if loaded != made.samples:
        differing["telemetry_sample"] = (made.samples, loaded)
    return Restored(name, len(counts), sum(counts.values()), loaded, round(time.monotonic() - began, 3), differing)


def prove(store: ArchiveStore, name: str, url: str) -> Restored:
    """Restore a backup into a scratch database beside the one of `url`, count, and drop it again.

    Raises:
        ArchiveError: As `restore_backup`; or the user may not create a database.
    """
    with _scratch_database(url) as scratch:
        return restore_backup(store, name, scratch)


def record(conn: psycopg.Connection[Any], made: Backup, restored: Restored | None, problem: str | None) -> None:
    """Write down that there is a backup and whether it was proven, in the caller's transaction."""
    conn.execute(
        sql("insert_backup"),
        {
            "name": made.name, "made_at": dt.datetime.fromisoformat(made.made_at), "size_bytes": made.size_bytes,
            "row_count": sum(made.rows.values()), "sample_count": made.samples, "took_s": made.took_s,
            "proven_at": dt.datetime.now(dt.UTC) if restored and not problem else None,
            "restore_took_s": restored.took_s if restored else None, "problem": problem,
        },
    )  # fmt: skip


@contextmanager
def _scratch_database(url: str) -> Iterator[str]:
    name = f"prodlytics_restore_{secrets.token_hex(4)}"
    with connect(url, autocommit=True) as conn:
        try:
            conn.execute(compose.SQL("CREATE DATABASE {} TEMPLATE template0").format(compose.Identifier(name)))
        except psycopg.errors.InsufficientPrivilege as error:
            raise ArchiveError(
                "The backup was not restored to prove it: the database user may not create a database. Allow it "
                "(ALTER ROLE ... CREATEDB), or prove it elsewhere with prodlytics restore-backup."
            ) from error
        try:
            yield psycopg.conninfo.make_conninfo(url, dbname=name)
        finally:
            conn.execute(compose.SQL("DROP DATABASE {} WITH (FORCE)").format(compose.Identifier(name)))


def _count(conn: psycopg.Connection[Any], table: str) -> int:
    row = conn.execute(compose.SQL("SELECT count(*) FROM public.{}").format(compose.Identifier(table))).fetchone()
    return int(row[0]) if row else 0


def _unarchived(
    conn: psycopg.Connection[Any], store: ArchiveStore, plant: Plant, now: dt.datetime
) -> Iterator[tuple[dt.date, dt.datetime, dt.datetime]]:
    """Production days with samples that the archive does not hold as they are."""
    row = conn.execute("SELECT min(time), max(time) FROM telemetry_sample").fetchone()
    if row is None or row[0] is None:
        return
    dataset = DATASETS["machine_telemetry"]
    for date in days_between(plant, row[0], max(row[1], now) + dt.timedelta(microseconds=1)):
        start, end = production_day(plant, date)
        archived = settled(conn, dataset, date, start, end)
        if archived.path is not None and store.exists(archived.path):
            continue
        some = conn.execute(
            "SELECT EXISTS (SELECT FROM telemetry_sample WHERE time >= %s AND time < %s)", (start, end)
        ).fetchone()
        if some and some[0]:
            yield date, start, end


def _samples(
    conn: psycopg.Connection[Any],
    snapshot: str,
    plant: Plant,
    date: dt.date,
    start: dt.datetime,
    end: dt.datetime,
    file: Path,
) -> int:
    shape = shape_of(conn, DATASETS["machine_telemetry"])
    with parquet.reader(conn) as adbc:
        with adbc.cursor() as cursor:
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
        said = {"plant": plant.plant, "dataset": shape.dataset, "production_date": date.isoformat()}
        return parquet.write_query(adbc, shape.query(date, start, end), shape, file, said).rows


def _put(store: ArchiveStore, file: Path, path: str, files: dict[str, str]) -> int:
    """Publish a file and see that what is stored is what was written."""
    digest, size = file_sha256(file), file.stat().st_size
    store.publish(file, path)
    if store.sha256(path) != digest:
        raise ArchiveError(f"The stored file {store.uri(path)} is not the one written: run the backup again.")
    files[path] = digest
    return size


def _read(store: ArchiveStore, name: str) -> Backup:
    known = backups(store)
    if name not in known:
        raise ArchiveError(f"There is no backup {name!r} in {store.url}: it has {', '.join(known) or 'none'}.")
    with store.open(f"{FOLDER}/{name}/backup.json") as file:
        return Backup(**json.loads(file.read()))


def _fetch(store: ArchiveStore, made: Backup, folder: Path) -> list[Path]:
    local = []
    for path, digest in made.files.items():
        file = folder / path.rpartition("/")[2]
        if store.fetch(path, file) != digest:
            raise ArchiveError(f"The backup {made.name} is damaged: {store.uri(path)} is not what was written.")
        local.append(file)
    return local


def _migrate_as_then(url: str, made: Backup, folder: Path) -> None:
    """The tables as they were: later migrations then see the data, as they would have."""
    ours = sql_folder() / "migrations"
    then = folder / "sql" / "migrations"
    then.mkdir(parents=True)
    for name in made.migrations:
        if not (ours / name).is_file():
            raise ArchiveError(
                f"The backup was made by Prodlytics {made.code_version} with the migration {name}, which this version "
                "does not have: restore it with that version or a newer one."
            )
        shutil.copyfile(ours / name, then / name)
    migrate(url, then.parent)


def _forget(store: ArchiveStore, name: str) -> None:
    """The list of a generation goes first: half deleted it is no backup any more."""
    made = _read(store, name)
    for path in (f"{FOLDER}/{name}/backup.json", *made.files):
        store.delete(path)
