"""Locks that make writers of the same thing wait for each other.

Belongs here: names of advisory locks. One lock per dataset, not per day: a stop that reaches over a day's edge writes
into its neighbour, and locks of days would have to be taken in an order nobody knows beforehand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import psycopg

T = TypeVar("T")
#: How often work is done again after a deadlock.
ATTEMPTS = 5


def lock(conn: psycopg.Connection[Any], name: str) -> None:
    """Wait for and hold the lock of this name until the transaction ends."""
    conn.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"prodlytics/{name}",))


def lock_shared(conn: psycopg.Connection[Any], name: str) -> None:
    """Hold the lock of this name beside others who share it; who wants it alone waits, and is waited for."""
    conn.execute("SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, 0))", (f"prodlytics/{name}",))


def lock_dataset(conn: psycopg.Connection[Any], dataset: str) -> None:
    """The lock every writer of a derived dataset takes before it reads."""
    lock(conn, f"dataset/{dataset}")


def hold_dataset(conn: psycopg.Connection[Any], dataset: str) -> None:
    """Wait for and hold the same lock until the connection is closed.

    For writers that read in one snapshot (REPEATABLE READ): a lock taken inside the transaction would come after the
    snapshot, which then lacks what was written while it was waited for. The connection must be in autocommit.
    """
    conn.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", (f"prodlytics/dataset/{dataset}",))


def with_patience(conn: psycopg.Connection[Any], work: Callable[[], T]) -> T:
    """Do some work in a transaction; once more, from the beginning, where it and another one waited for each other.

    Writers mark what others claim and the other way round, across datasets whose order differs between them: the
    database ends one of the two, which has then changed nothing.
    """
    from psycopg.errors import DeadlockDetected

    for _ in range(ATTEMPTS - 1):
        try:
            with conn.transaction():
                return work()
        except DeadlockDetected:
            continue
    with conn.transaction():
        return work()
