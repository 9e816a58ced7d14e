"""What assets reach the outside through: the database, the landing place, the archive.

Belongs here: Dagster resources, each a thin handle that opens nothing until it is used. Does not belong here: SQL or
rules. See https://docs.dagster.io/guides/build/external-resources
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from prodlytics.settings import Settings

if TYPE_CHECKING:
    import psycopg


class Database(dg.ConfigurableResource["Database"]):
    """The product's database; without a URL the one of the settings, else the embedded server."""

    url: str | None = None

    def address(self) -> str:
        """The URL in use; starts the embedded server if that is the one."""
        from prodlytics.db.url import database_url

        return self.url or database_url(Settings())

    def connect(self, *, autocommit: bool = False) -> psycopg.Connection:
        """A new connection; the caller closes it.

        Raises:
            DatabaseUnavailable: One sentence for people.
        """
        from prodlytics.db.connect import connect

        return connect(self.address(), autocommit=autocommit)


class Places(dg.ConfigurableResource["Places"]):
    """Where files arrive and where the archive lies: folders or Azure containers, by one URL each."""

    landing_url: str | None = None
    archive_url: str | None = None

    def landing(self) -> str:
        """The landing place."""
        return self.landing_url or Settings().landing_place

    def archive(self) -> str:
        """The archive."""
        return self.archive_url or Settings().archive_place
