"""Ports of test servers on 127.0.0.1."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from prodlytics_tests.servers.place import Unavailable


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(port: int, alive: Callable[[], bool], what: str, patience_s: float = 60) -> None:
    """Wait until something listens on the port.

    Raises:
        Unavailable: The program has ended, or nothing listens after `patience_s`.
    """
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if not alive():
                raise Unavailable(f"{what} ended at once") from None
            time.sleep(0.05)
        else:
            return
    raise Unavailable(f"{what} does not listen on its port after {patience_s:.0f} s")
