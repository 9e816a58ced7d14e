"""Everything that must hold in every derived database, asked of the database in SQL.

Belongs here: asking. The rules are in `invariants.sql`.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import psycopg

RULES = (Path(__file__).parent / "invariants.sql").read_text("utf-8")


def broken_rules(url: str, opens: dt.datetime, closes: dt.datetime) -> dict[str, int]:
    """Rules that do not hold, and how many rows break each.

    Args:
        url: A database whose machine_time, oee_hourly and oee_shift were derived from `opens` to `closes`.
        opens: Start of the first production day that was derived.
        closes: End of the last one.
    """
    with psycopg.connect(url) as conn:
        conn.execute("SET jit = off")
        conn.execute("ANALYZE")
        return dict(conn.execute(RULES, {"opens": opens, "closes": closes}).fetchall())
