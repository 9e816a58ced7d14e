"""Where test servers lie, and who uses them.

Belongs here: the cache folder and the lock by which several test processes share one server. Does not belong here: any
particular server.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

PROJECT = Path(__file__).resolve().parents[2]
CACHE = PROJECT / ".cache" / "servers"


class Unavailable(Exception):  # noqa: N818 a reason for a skip
    """A server cannot be had on this machine; the text is the reason."""


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Processes that make the same thing wait for each other."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.making.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def shared(name: str, start: Callable[[], T], stop: Callable[[], None]) -> Iterator[T]:
    """A server that every process uses together: the last one to leave stops it.

    `start` must be harmless when the server runs already, also one left behind by a process that was killed.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.users.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_SH)
        with alone(name):
            server = start()
        try:
            yield server
        finally:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            else:
                stop()
