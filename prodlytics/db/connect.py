"""Connections to the product's database.

Belongs here: how a session is set up, and the one sentence people get when there is no database.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql


class DatabaseUnavailable(Exception):  # noqa: N818 the name people and callers read
    """The database cannot be reached or refuses; the text is one sentence and never shows a password."""


def connect(url: str, *, autocommit: bool = False, role: str | None = None) -> psycopg.Connection[Any]:
    """Open a connection: session in UTC, just-in-time compilation off (it cost 10 s in one dashboard query).

    Args:
        url: PostgreSQL URL or key=value string; waits 10 s for an answer unless it has a `connect_timeout`.
        autocommit: Whether statements commit on their own.
        role: Role to take on after login, for least privilege.

    Raises:
        DatabaseUnavailable: One sentence for people.
    """
    try:
        # From the end of: connection to server at "127.0.0.1", port 5432 failed: Connection refused ...
        conn = psycopg.connect(
            psycopg.conninfo.make_conninfo(url, **_patience(url)),
            autocommit=autocommit,
            application_name="prodlytics",
            # What the URL asks for of its own (a search_path) stays.
            options=f"{psycopg.conninfo.conninfo_to_dict(url).get('options', '')} -c timezone=UTC -c jit=off".strip(),
        )
    except psycopg.ProgrammingError as error:
        raise DatabaseUnavailable(
            "The database URL cannot be read: write postgresql://user:password@host:5432/database."
        ) from error
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(_sentence(url, error)) from error
    if role is not None:
        conn.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        if not autocommit:
            conn.commit()
    return conn


def _patience(url: str) -> dict[str, str]:
    return {} if "connect_timeout" in psycopg.conninfo.conninfo_to_dict(url) else {"connect_timeout": "10"}


def _sentence(url: str, error: psycopg.OperationalError) -> str:
    parts = psycopg.conninfo.conninfo_to_dict(url)
    where = f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"
    lines = str(error).strip().splitlines()
    why = lines[0].split(" failed: ")[-1] if lines else "no answer"
    return f"The database at {where} cannot be used: {why}. Is it running, and is PRODLYTICS_DATABASE_URL right?"
