"""Bringing a database to this version.

Belongs here: the order of sql/ and its bookkeeping. Migrations run once, each in a transaction of its own: one that
fails leaves those before it in place, and the next run goes on from there. What the extension needs (timescale/), the
readers' views (views/), what is watched (audit.sql) and the roles (roles.sql) can be applied any number of times, and
are, every time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from prodlytics.db.capability import Capability, ask
from prodlytics.db.connect import connect
from prodlytics.db.sqlfiles import sql_folder

if TYPE_CHECKING:
    from collections.abc import Iterable


class MigrationError(Exception):
    """A migration cannot be applied; the text names the file and what to do."""


@dataclass(frozen=True)
class MigrationReport:
    """What a migration run did.

    Attributes:
        applied: Names of the migrations applied now.
        already: How many were there before.
    """

    applied: list[str]
    already: int
    capability: Capability


def migrate(url: str, folder: Path | None = None) -> MigrationReport:
    """Apply what is missing; two at once wait for each other.

    Args:
        url: The database; the user must own it (and be superuser where roles do not exist yet).
        folder: Where the SQL lies; without it the product's own.

    Raises:
        DatabaseUnavailable: It cannot be reached.
        MigrationError: A file failed or was edited after it had been applied.
    """
    folder = folder or sql_folder()
    with connect(url, autocommit=True) as conn:
        # For the session: held over all transactions, released when the connection closes.
        conn.execute("SELECT pg_advisory_lock(hashtextextended('prodlytics/migrate', 0))")
        applied, already = _run_once(conn, sorted((folder / "migrations").glob("*.sql")))
        repeated: list[Path] = []
        if ask(conn).has_hypertables:
            repeated += sorted((folder / "timescale").glob("*.sql"))
        repeated += sorted((folder / "views").glob("*.sql"))
        repeated += [file for file in (folder / "audit.sql", folder / "roles.sql") if file.is_file()]
        for file in repeated:
            _apply(conn, file)
        # Asked again: a server tells its edition only in a database that has the extension.
        return MigrationReport(applied, already, ask(conn))


def make_tables(conn: psycopg.Connection[Any], folder: Path | None = None) -> None:
    """Make all tables and views in the first schema of the connection's search path: a scratch copy without rows.

    Without the extension, whose tables would be the same rows in chunks, and without rights: it is the caller's own.
    """
    folder = folder or sql_folder()
    for file in [*sorted((folder / "migrations").glob("*.sql")), *sorted((folder / "views").glob("*.sql"))]:
        _apply(conn, file)


def missing(conn: psycopg.Connection[Any], folder: Path | None = None) -> list[str]:
    """Names of the migrations this version has and the database has not; changes nothing."""
    there = conn.execute("SELECT to_regclass('schema_migration')").fetchone()
    known: set[str] = set()
    if there and there[0] is not None:
        known = {name for (name,) in conn.execute("SELECT name FROM schema_migration").fetchall()}
    return [
        file.name for file in sorted(((folder or sql_folder()) / "migrations").glob("*.sql")) if file.name not in known
    ]


def _run_once(conn: psycopg.Connection[Any], files: Iterable[Path]) -> tuple[list[str], int]:
    conn.execute(
        "CREATE TABLE IF NOT EXISTS schema_migration (name text PRIMARY KEY, sha256 text NOT NULL,"
        " applied_at timestamptz NOT NULL DEFAULT now())"
    )
    known: dict[str, str] = dict(conn.execute("SELECT name, sha256 FROM schema_migration").fetchall())
    applied, already = [], 0
    for file in files:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        if file.name not in known:
            _apply(conn, file, digest)
            applied.append(file.name)
        elif known[file.name] == digest:
            already += 1
        else:
            raise MigrationError(
                f"Migration {file.name} was edited after it had been applied: restore the file, and put the change "
                "into a new migration."
            )
    return applied, already


def _apply(conn: psycopg.Connection[Any], file: Path, digest: str | None = None) -> None:
    try:
        with conn.transaction():
            conn.execute(file.read_text(encoding="utf-8"))
            if digest is not None:
                conn.execute("INSERT INTO schema_migration (name, sha256) VALUES (%s, %s)", (file.name, digest))
    except psycopg.Error as error:
        message = (error.diag.message_primary or str(error)).rstrip(".")
        raise MigrationError(f"Migration {file.name} failed and was rolled back: {message}.") from error
