"""PostgreSQL's own programs for backups: pg_dump and pg_restore.

Belongs here: finding ones that fit the server, and running them without showing a password. Does not belong here: what
is dumped (`backup.py`).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg

from prodlytics.archive.errors import ArchiveError
from prodlytics.db.connect import DatabaseUnavailable
from prodlytics.db.embedded import shipped_postgresql

#: libpq's variables; what the URL says reaches the programs through them and never through their command line.
_VARIABLES = {
    "host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY",
    "connect_timeout": "PGCONNECT_TIMEOUT",
}  # fmt: skip


def run(name: str, url: str, server_version: int, *arguments: str) -> None:
    """Run pg_dump or pg_restore against a database.

    Args:
        name: Of the program.
        url: The database.
        server_version: As libpq tells it, e.g. 170002: an older pg_dump refuses a newer server.
        *arguments: Without anything secret.

    Raises:
        ArchiveError: There is no such program, or it failed; the text is its last line.
    """
    parts = psycopg.conninfo.conninfo_to_dict(url)
    said = {variable: str(parts[key]) for key, variable in _VARIABLES.items() if parts.get(key)}
    done = subprocess.run(
        [str(_find(name, server_version // 10000)), *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        env={**{key: value for key, value in os.environ.items() if not key.startswith("PG")}, **said},
    )  # fmt: skip
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no message"]
        errors = [line for line in lines if "error" in line.lower()]
        raise ArchiveError(f"{name} failed: {(errors or lines)[0].rstrip('.')}.")


def _find(name: str, major: int) -> Path:
    """The first of this program that is at least as new as the server."""
    for program in _known(name):
        told = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=False).stdout
        version = re.search(r"(\d+)(?:\.\d+)?", told)
        if version and int(version.group(1)) >= major:
            return program
    raise ArchiveError(
        f"There is no {name} for PostgreSQL {major}: install its client programs (postgresql-client-{major})."
    )


def _known(name: str) -> Iterator[Path]:
    found = shutil.which(name)
    if found:
        yield Path(found)
    # The embedded server brings its own.
    with suppress(DatabaseUnavailable):
        program = shipped_postgresql() / "bin" / name
        if program.is_file():
            yield program
