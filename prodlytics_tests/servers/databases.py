"""Fresh migrated databases on a running server.

Belongs here: one migrated template per server and version of `sql/`, and its clones. Does not belong here: starting
servers.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from prodlytics.db.migrate import migrate
from prodlytics.db.sqlfiles import sql_folder
from prodlytics_tests.servers.place import alone

_PREFIX = "prodlytics_test_"
#: Not template1: TimescaleDB's launcher looks into every database that takes connections, and copying fails meanwhile.
_EMPTY = "template0"


def url_of(server_url: str, database: str) -> str:
    """The URL of another database of the same server."""
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{database}"))


@contextmanager
def empty_database(server_url: str) -> Iterator[str]:
    """An empty database, dropped afterwards."""
    name = f"{_PREFIX}{secrets.token_hex(6)}"
    with _created(server_url, name, None):
        yield url_of(server_url, name)


@contextmanager
def migrated_database(server_url: str) -> Iterator[str]:
    """A database with all tables and no rows, dropped afterwards."""
    name = f"{_PREFIX}{secrets.token_hex(6)}"
    with _created(server_url, name, _template(server_url)):
        yield url_of(server_url, name)


def drop_all(server_url: str) -> None:
    """Drop what tests left behind, templates of other versions too; for when nobody uses the server."""
    with psycopg.connect(server_url, autocommit=True) as conn:
        found = conn.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (_PREFIX,)).fetchall()
        for (name,) in found:
            if name != _template_name():
                _drop(conn, name)


@contextmanager
def _created(server_url: str, name: str, template: str | None) -> Iterator[None]:
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
        sql.Identifier(name), sql.Identifier(template or _EMPTY)
    )
    # Two processes cannot copy the same template at once.
    with psycopg.connect(server_url, autocommit=True) as conn, alone("clone"):
        conn.execute(statement)
    try:
        yield
    finally:
        with psycopg.connect(server_url, autocommit=True) as conn:
            _drop(conn, name)


def _drop(conn: psycopg.Connection[tuple[object, ...]], name: str) -> None:
    conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _template_name() -> str:
    digest = hashlib.sha256()
    for file in sorted(sql_folder().rglob("*.sql")):
        if file.parent.name != "queries":
            digest.update(file.name.encode() + file.read_bytes())
    return f"{_PREFIX}template_{digest.hexdigest()[:12]}"


def _template(server_url: str) -> str:
    """The migrated template, made the first time; it is named last, so that a half-made one is never used."""
    name = _template_name()
    with alone("template"), psycopg.connect(server_url, autocommit=True) as conn:
        if conn.execute("SELECT FROM pg_database WHERE datname = %s", (name,)).fetchone() is None:
            making = f"{name}_making"
            _drop(conn, making)
            conn.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(making), sql.Identifier(_EMPTY))
            )
            migrate(url_of(server_url, making))
            conn.execute(sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false").format(sql.Identifier(making)))
            conn.execute("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s", (making,))
            conn.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(making), sql.Identifier(name)))
    return name
