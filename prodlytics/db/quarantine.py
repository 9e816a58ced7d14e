"""Where bad input goes: with its reason, its origin and itself.

Belongs here: storing quarantined rows, each once. Does not belong here: deciding what is bad.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import psycopg

#: Longest payload that is kept; what is longer is cut, the fingerprint is of the whole.
PAYLOAD_LIMIT = 10_000


def store(conn: psycopg.Connection[Any], dataset: str, rows: pd.DataFrame, *, origin: str) -> int:
    """Put rows into quarantine in the caller's transaction; a row that is there already is not stored again.

    Args:
        conn: An open connection.
        dataset: The dataset the rows were meant for.
        rows: Columns reason, detail, payload; optionally position, event_time, machine_id.
        origin: File or step the rows came from.

    Returns:
        How many were new.
    """
    records = []
    for row in rows.to_dict("records"):
        position, payload, event_time = (_or_none(row.get(name)) for name in ("position", "payload", "event_time"))
        position = None if position is None else int(position)
        identity = "\x1f".join(map(str, (dataset, origin, position, row["reason"], event_time, payload)))
        records.append(
            (
                dataset,
                row["reason"],
                _storable(row["detail"]),
                origin,
                position,
                event_time,
                _storable(row.get("machine_id")),
                _storable(payload),
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


def _or_none(value: Any) -> Any:
    """Missing is None, however a frame spells it: the same row has the same fingerprint in any batch."""
    import pandas as pd

    return None if pd.isna(value) else value


def _storable(value: Any) -> str | None:
    """Text PostgreSQL takes: bad input also holds NUL and halves of characters."""
    value = _or_none(value)
    if value is None:
        return None
    return str(value).replace("\x00", "\\0").encode("utf-8", "backslashreplace").decode("utf-8")[:PAYLOAD_LIMIT]
