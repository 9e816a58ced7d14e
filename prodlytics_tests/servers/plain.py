"""Plain PostgreSQL for tests: the product's own embedded server in a home of its own, without waiting for the disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from prodlytics.db import embedded
from prodlytics_tests.servers.databases import drop_all, url_of
from prodlytics_tests.servers.place import CACHE, shared

HOME = CACHE / "plain"


@contextmanager
def running() -> Iterator[str]:
    """URL of the running server's database `postgres`."""
    with shared("plain", _start, _stop) as url:
        yield url


def _start() -> str:
    url = url_of(embedded.ensure_running(HOME), "postgres")
    with psycopg.connect(url, autocommit=True) as conn:
        # A test database need not survive a power cut.
        conn.execute("ALTER SYSTEM SET fsync = off")
        conn.execute("SELECT pg_reload_conf()")
    return url


def _stop() -> None:
    drop_all(_start())
    embedded.stop(HOME)
