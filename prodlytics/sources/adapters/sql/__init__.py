"""Any SQL database over ODBC: classic JobBOSS, E2, Infor SyteLine, or tables of your own, by a mapping file.

Belongs here: what is set up for it, and rows as our records. Does not belong here: the mapping's shape (`mapping.py`),
what a query may be (`guard.py`), what the login may do (`rights.py`), reading (`reading.py`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

from prodlytics.formats.names import MachineNames
from prodlytics.sources.adapters.sql.guard import NotASelectError, only_select
from prodlytics.sources.adapters.sql.mapping import Resource, load_mapping
from prodlytics.sources.adapters.sql.reading import DIALECTS, Database, with_login
from prodlytics.sources.connections import ConnectionSetupError

if TYPE_CHECKING:
    from prodlytics.plant.connection import Connection
    from prodlytics.plant.model import Plant
    from prodlytics.sources.connectors import Dataset

OPTIONS: Mapping[str, str | None] = {
    # A shipped mapping (jobboss, e2, syteline) or the path of a file.
    "mapping": None,
    # yes where the database cannot be asked what a login may do, and somebody has made sure that it may only read.
    "rights_checked": "",
}
SECRETS = ("user", "password")

_SINCE = "said_since"


def adapters(
    connection: Connection, options: Mapping[str, str], secrets: Mapping[str, str], plant: Plant
) -> Sequence[Rows]:
    """One adapter for each resource of the mapping."""
    import sqlalchemy as sa

    try:
        url = sa.make_url(connection.url)
    except sa.exc.ArgumentError as error:
        raise ConnectionSetupError(f"Connection {connection.name}: url is none: {error}.") from error
    if url.get_backend_name() not in DIALECTS or not url.drivername.endswith("+pyodbc"):
        known = ", ".join(f"{name}+pyodbc" for name in DIALECTS)
        raise ConnectionSetupError(f"Connection {connection.name}: write its url as one of {known}, e.g. "
                                   "mssql+pyodbc://server/database?driver=ODBC+Driver+18+for+SQL+Server.")  # fmt: skip
    mapping = load_mapping(options["mapping"])
    database = Database(
        connection.name, with_login(url, secrets["user"], secrets["password"]),
        options["rights_checked"] == "yes",
    )  # fmt: skip
    machines = {**MachineNames.of(plant).ids, **connection.machines}
    return [Rows(connection, database, resource, machines) for resource in mapping.resources]


class Rows:
    """Rows of one query."""

    said_by: Literal["erp", "machinemetrics"] = "erp"
    #: Times of change are wall times: an hour comes twice when clocks go back.
    overlap = dt.timedelta(hours=2)
    complete = True

    def __init__(
        self, connection: Connection, database: Database, resource: Resource, machines: Mapping[str, str]
    ) -> None:
        """Ask nothing yet.

        Raises:
            ConnectionSetupError: The query is not a SELECT alone.
        """
        self.source, self.timezone = connection.name, connection.timezone
        self.resource, self.dataset = resource.name, _dataset(resource)
        # A pass over everything tells what was deleted, however old.
        self.reach = dt.timedelta(days=36_500) if resource.dataset == "operator_entries" else None
        self._database, self._said, self._machines = database, resource, machines
        self._all, self._news = self._queries()

    def pages(self, since: dt.datetime | None) -> Iterable[list[dict[str, Any]]]:
        """All rows by their key, or those changed since."""
        with self._database.reading() as connection:
            if since is None or self._news is None:
                yield from self._database.rows(connection, self._all, None)
            else:
                wall = since.astimezone(ZoneInfo(self.timezone or "UTC")).replace(tzinfo=None)
                yield from self._database.rows(connection, self._news, wall)

    def parse(self, page: list[dict[str, Any]]) -> list[Mapping[str, object]]:
        """Rows by our field names; a column the query does not give is missing."""
        told: list[Mapping[str, object]] = []
        for row in page:
            by_name = {name.lower(): value for name, value in row.items()}
            said: dict[str, object] = dict(self._said.constants)
            said |= {ours: _plain(by_name.get(theirs.lower())) for ours, theirs in self._said.columns.items()}
            for field, values in self._said.values.items():
                if said.get(field) is not None:
                    said[field] = values.get(str(said[field]).strip(), said[field])
            if self._said.changed is not None and self.dataset == "work_orders":
                said.setdefault("source_modified_at", _plain(by_name.get(self._said.changed.lower())))
            if self._is_ours(said):
                told.append(said)
        return told

    def _is_ours(self, said: dict[str, object]) -> bool:
        """Whether a row is to be told; its machine is named as ours, or not at all where it is none of ours."""
        if "machine_id" not in said:
            return True
        said["machine_id"] = self._machines.get(str(said["machine_id"]).strip())
        always = self._said.only_our_machines or self.dataset in ("operator_entries", "ideal_cycles")
        return said["machine_id"] is not None or not always

    def _queries(self) -> tuple[str, str | None]:
        """The query for everything and the one for news, written from the parsed tree."""
        from sqlglot import exp

        dialect = self._database.dialect
        try:
            tree = only_select(self._said.query, dialect)
        except NotASelectError as error:
            raise ConnectionSetupError(
                f"Connection {self.source}: the query of {self.resource} is refused: {error}."
            ) from error
        inner = exp.select("*").from_(tree.subquery(_SINCE))
        order = [exp.column(name, table=_SINCE, quoted=True) for name in self._said.key]
        everything = inner.copy().order_by(*order).sql(dialect=dialect, comments=False)
        if self._said.changed is None:
            return everything, None
        changed = exp.column(self._said.changed, table=_SINCE, quoted=True)
        news = inner.where(exp.GTE(this=changed, expression=exp.Placeholder())).order_by(*order)
        return everything, news.sql(dialect=dialect, comments=False)


def _dataset(resource: Resource) -> Dataset:
    return resource.dataset


def _plain(value: object) -> object:
    """A value as the other adapters give it: text without the blanks of CHAR columns, nothing for ''."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "backslashreplace").strip() or None
    return value
