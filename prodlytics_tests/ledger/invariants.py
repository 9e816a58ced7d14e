"""Everything that must hold in every derived database, asked of the database in SQL.

Belongs here: asking. The rules are in `invariants.sql`.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import psycopg

VIEWS, *RULES = (Path(__file__).parent / "invariants.sql").read_text("utf-8").split("-- rule: ")


def broken_rules(url: str, opens: dt.datetime, closes: dt.datetime) -> dict[str, int]:
    """Rules that do not hold, and how many rows break each.

    Args:
        url: A database whose machine_time, oee_hourly and oee_shift were derived from `opens` to `closes`.
        opens: Start of the first production day that was derived.
        closes: End of the last one.
    """
    broken = {}
    with psycopg.connect(url) as conn:
        conn.execute("SET jit = off")
        conn.execute("ANALYZE")
        conn.execute(VIEWS)
        for rule in RULES:
            name, _, query = rule.partition("\n")
            row = conn.execute(query, {"opens": opens, "closes": closes}).fetchone()
            assert row is not None
            broken[name] = row[0]
    assert len(broken) == len(RULES) > 20
    return {name: count for name, count in broken.items() if count}
