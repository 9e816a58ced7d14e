"""Reading a database over ODBC, and nothing but reading.

Belongs here: the connection, the login's rights, pages of rows. Does not belong here: which rows (`mapping.py`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prodlytics.sources.adapters.sql.rights import QUESTIONS, writes
from prodlytics.sources.ask import SourceUnavailableError

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection

#: Rows a page.
PAGE = 500
#: To log in, and for one query.
_LOGIN_S, _QUERY_S = 8, 300
#: SQLAlchemy's name of a database to sqlglot's.
DIALECTS = {"mssql": "tsql", "mariadb": "mysql", "mysql": "mysql", "postgresql": "postgres", "sqlite": "sqlite"}
#: SQLSTATEs of a login that is refused.
_REFUSED = ("28000", "28P01")


def with_login(url: URL, user: str, password: str) -> URL:
    """An address with its login, as the drivers take it.

    SQLAlchemy writes a port as SQL Server's drivers want it (`Server=host,port`); those of MariaDB and MySQL do not
    understand that and ask another port.
    """
    if url.port is not None and DIALECTS[url.get_backend_name()] != "tsql":
        url = url.update_query_dict({"PORT": str(url.port)}).set(port=None)
    return url.set(username=user, password=password)


@dataclass
class Database:
    """A database that is read."""

    name: str
    "The connection's name."
    url: URL
    rights_checked: bool
    "Whether somebody made sure that the login may only read, where the database cannot be asked."

    @property
    def dialect(self) -> str:
        """Sqlglot's name of its SQL."""
        return DIALECTS[self.url.get_backend_name()]

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection whose login may only read; it is closed whatever happens.

        Raises:
            SourceUnavailableError: It does not answer, refuses us, or lets us write.
        """
        import sqlalchemy as sa

        with self._said():
            _load_odbc()
            engine = sa.create_engine(self.url, poolclass=sa.NullPool, connect_args={"timeout": _LOGIN_S})
            with engine.connect() as connection:
                raw = connection.connection.dbapi_connection
                if raw is not None:
                    raw.timeout = _QUERY_S
                if self.dialect == "mysql":
                    connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
                self._refuse_writer(connection)
                yield connection

    def rows(self, connection: Connection, query: str, since: dt.datetime | None) -> Iterator[list[dict[str, Any]]]:
        """Rows of a query in pages; its only parameter is `since`, where it has one."""
        with self._said():
            parameters = () if since is None else (since,)
            found = connection.execution_options(stream_results=True).exec_driver_sql(query, parameters)
            for page in found.mappings().partitions(PAGE):
                yield [dict(row) for row in page]

    def _refuse_writer(self, connection: Connection) -> None:
        questions = QUESTIONS.get(self.dialect)
        if questions is None:
            if not self.rights_checked:
                raise SourceUnavailableError(
                    f"{self.name}: nobody can ask this database what the login may do: make sure that it may only "
                    'read, and write rights_checked: "yes"'
                )
            return
        answers = [row for question in questions for row in connection.exec_driver_sql(question)]
        beyond = writes(self.dialect, answers)
        if beyond:
            more = f" and {len(beyond) - 3} more" if len(beyond) > 3 else ""
            raise SourceUnavailableError(
                f"{self.name}: the login may do more than read ({'; '.join(beyond[:3])}{more}): give us one that has "
                "SELECT alone; nothing was read"
            )

    @contextmanager
    def _said(self) -> Iterator[None]:
        """What a driver raises, as one sentence without login or text of the query."""
        import sqlalchemy as sa

        port = self.url.port or self.url.query.get("PORT")
        where = f"{self.url.drivername}://{self.url.host}{f':{port}' if port else ''}/{self.url.database}"
        try:
            yield
        except sa.exc.DBAPIError as error:
            state, text = (str(part) for part in (*error.orig.args, "", "")[:2]) if error.orig is not None else ("", "")
            if state in _REFUSED:
                raise SourceUnavailableError(f"{where} refuses our credentials ({state})") from None
            if state in ("IM002", "01000"):
                raise SourceUnavailableError(
                    f"{self.name}: the ODBC driver of its url is not installed on this machine (docs/connectors.md)"
                ) from None
            raise SourceUnavailableError(f"{where} does not give its rows ({state}): {_plain(text)}") from None
        except sa.exc.SQLAlchemyError as error:
            raise SourceUnavailableError(f"{where} does not give its rows ({type(error).__name__})") from None


def _plain(text: str) -> str:
    """A driver's message without its brackets and without what it repeats of the query."""
    return text.rpartition("]")[2].partition("near '")[0].strip()[:200] or "no reason given"


def _load_odbc() -> None:
    try:
        import pyodbc  # noqa: F401 - whether it can be loaded at all
    except ImportError as error:
        raise SourceUnavailableError(
            "This machine has no ODBC (libodbc.so.2): install unixodbc and the driver of your database "
            "(docs/connectors.md)"
        ) from error
