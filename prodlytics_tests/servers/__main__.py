"""`python -m prodlytics_tests.servers`: unpack, start and stop each test server once, and say what works.

Run before the tests, so that downloads happen once and one line tells why tests will be skipped. Always ends with 0.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from prodlytics.db.connect import DatabaseUnavailable
from prodlytics_tests.servers import azurite, mariadb, mosquitto, node_red, plain, timescale
from prodlytics_tests.servers.place import Unavailable

_SERVERS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "PostgreSQL (embedded)": plain.running,
    "TimescaleDB (Apache edition)": timescale.running,
    "Mosquitto": mosquitto.running,
    "Azurite": azurite.running,
    "Node-RED": node_red.running,
    "MariaDB over ODBC": mariadb.running,
}


def main() -> None:
    """Try every server."""
    for name, running in _SERVERS.items():
        began = time.monotonic()
        try:
            with running():
                outcome = f"works ({time.monotonic() - began:.1f} s)"
        except (Unavailable, DatabaseUnavailable) as reason:
            outcome = f"cannot be had, its tests are skipped: {reason}"
        print(f"  {name}: {outcome}", flush=True)


if __name__ == "__main__":
    main()
