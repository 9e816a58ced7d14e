"""When samples become visible to a reader of the database, asked every two milliseconds.

Belongs here: one query, as a process of its own; it ends when its standard input does. Saves pairs of what the query
returned and the nanosecond of the monotonic clock at which it had returned it.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psycopg

EVERY_S = 0.002


def main() -> None:
    """Look until nobody wants to know any more."""
    url, query, params, found = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), Path(sys.argv[4])
    enough = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), enough.set()), daemon=True).start()
    seen: list[tuple[int, int]] = []
    last = -1
    with psycopg.connect(url, autocommit=True) as conn:
        print("ready", flush=True)
        while not enough.is_set():
            rows = conn.execute(query, {**params, "last": last}, prepare=True).fetchall()
            now = time.monotonic_ns()
            seen += [(int(one), now) for (one,) in rows]
            last = max([last, *(int(one) for (one,) in rows)])
            time.sleep(EVERY_S)
    np.save(found, np.array(seen, dtype=np.int64).reshape(-1, 2))


if __name__ == "__main__":
    main()
