"""Asking the systems of plant.yaml, one after the other, and how it went.

Belongs here: all resources of a connection, each on its own, and what people are told of failures. Does not belong
here: one pass (`connectors.py`), when it happens (`prodlytics.automation`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prodlytics.db.queries import sql
from prodlytics.sources.ask import SourceUnavailableError
from prodlytics.sources.connections import ConnectionSetupError, adapters_of
from prodlytics.sources.connectors import sync
from prodlytics.sources.counts import Counts

if TYPE_CHECKING:
    import psycopg

    from prodlytics.plant.connection import Connection
    from prodlytics.plant.model import Plant


@dataclass
class Answered:
    """What became of asking: counts by resource (`erp/work_orders`) and dataset, problems as sentences."""

    counts: dict[tuple[str, str], Counts] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Late:
    """A resource whose newest pass failed, or is too long ago."""

    source: str
    says: str
    for_long: bool
    "Whether nothing has come for longer than is allowed."


def ask_connection(
    conn: psycopg.Connection[Any], plant: Plant, connection: Connection, environment: Mapping[str, str],
    now: dt.datetime,
) -> Answered:  # fmt: skip
    """Ask every resource of a connection; one that fails does not keep the others from being asked.

    Args:
        conn: In autocommit.
        plant: The plant.
        connection: Whom to ask.
        environment: Where its secrets are, as `os.environ`.
        now: Our clock.
    """
    told = Answered()
    try:
        adapters = adapters_of(plant, connection, environment)
    except ConnectionSetupError as error:
        told.problems.append(str(error))
        failed = {"source": connection.name, "dataset": None, "now": now, "problem": str(error)}
        conn.execute(sql("upsert_sync_failure"), failed)
        return told
    conn.execute(sql("delete_setup_failure"), {"source": connection.name})
    for adapter in adapters:
        try:
            resource = f"{adapter.source}/{adapter.resource}"
            told.counts[resource, adapter.dataset] = sync(conn, plant, adapter, now)
        except SourceUnavailableError as error:
            told.problems.append(f"{error}.")
    return told


def late(conn: psycopg.Connection[Any], plant: Plant, dataset: str, now: dt.datetime) -> list[Late]:
    """Resources of a dataset that failed when they were last asked, or have not been read for too long.

    Args:
        conn: An open connection.
        plant: The plant, with how often its connections are asked.
        dataset: One that other systems bring.
        now: Our clock.
    """
    allowed = dt.timedelta(minutes=max(15, 2 * max((one.every_min for one in plant.connections), default=0)))
    names = {one.name for one in plant.connections}
    asked = {source.partition("/")[0] for (source,) in conn.execute(sql("select_sync_sources")).fetchall()}
    found = [
        Late(name, f"{name} has never been asked: is its schedule ask_{name} running?", True)
        for name in sorted(names - asked)
    ]
    for source, succeeded, failed, problem in conn.execute(sql("select_sync_state"), {"dataset": dataset}).fetchall():
        if source.partition("/")[0] not in names:
            continue
        long = succeeded is None or now - succeeded > allowed
        if failed is None and not long:
            continue
        since = "has never been read" if succeeded is None else f"was last read at {succeeded:%Y-%m-%d %H:%M} UTC"
        found.append(Late(source, f"{source} {since}" + (f": {problem}" if problem else ": nobody asked"), long))
    return found
