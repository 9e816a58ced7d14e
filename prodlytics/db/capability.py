"""What the server can do, asked once.

Belongs here: telling TimescaleDB Community, TimescaleDB Apache edition and plain PostgreSQL apart. Results of the
product are the same on all three.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True)
class Capability:
    """What a server offers.

    Attributes:
        edition: `community` (compression), `apache` (hypertables, drop_chunks, time_bucket) or `none`.
        timescaledb_version: Installed or installable version.
    """

    edition: Literal["community", "apache", "none"]
    timescaledb_version: str | None

    @property
    def has_hypertables(self) -> bool:
        """Whether samples can be chunked by time."""
        return self.edition != "none"

    @property
    def can_compress(self) -> bool:
        """Whether old chunks can be compressed."""
        return self.edition == "community"


def ask(conn: psycopg.Connection[Any]) -> Capability:
    """Ask the server; changes nothing."""
    row = conn.execute(
        "SELECT coalesce(installed_version, default_version), current_setting('timescaledb.license', true),"
        " current_setting('shared_preload_libraries')"
        " FROM pg_available_extensions WHERE name = 'timescaledb'"
    ).fetchone()
    if row is None or "timescaledb" not in (row[2] or ""):
        return Capability("none", None)
    return Capability("community" if row[1] == "timescale" else "apache", row[0])
