"""Where bad input goes: with its reason, its origin and itself.

Belongs here: storing quarantined rows, each once. Does not belong here: deciding what is bad.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import psycopg

#: Longest payload that is kept; what is longer is cut, the fingerprint is of the whole.
PAYLOAD_LIMIT = 10_000


def store(conn: psycopg.Connection, dataset: str, rows: pd.DataFrame, *, origin: str) -> int:
    """Put rows into quarantine in the caller's transaction; a row that is there already is not stored again.

    Args:
        conn: An open connection.
        dataset: The dataset the rows were meant for.
        rows: Columns reason, detail, payload; optionally position, event_time, machine_id.
        origin: File or step the rows came from.

    Returns:
        How many were new.
    """
    import pandas as pd

    records = []
    for row in rows.to_dict("records"):
        position = row.get("position")
        position = None if position is None or pd.isna(position) else int(position)
        event_time = row.get("event_time")
        payload = row.get("payload")
        identity = "\x1f".join(map(str, (dataset, origin, position, row["reason"], event_time, payload)))
        records.append(
            (
                dataset,
                row["reason"],
                row["detail"],
                origin,
                position,
                None if event_time is None or pd.isna(event_time) else event_time,
                row.get("machine_id"),
                None if payload is None else str(payload).replace("\x00", "\\0")[:PAYLOAD_LIMIT],
                hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest(),
            )
        )
    if not records:
        return 0
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO quarantine (dataset, reason, detail, origin, position, event_time, machine_id, payload,"
            " fingerprint) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (fingerprint) DO NOTHING",
            records,
        )
        return cursor.rowcount
