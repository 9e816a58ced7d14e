"""What asks for a training before Sunday.

Belongs here: the guide's triggers, read from the tables. Does not belong here: the weekly schedule, or training.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from prodlytics.assets.downtime_causes import ACCURACY, JUDGED_ON, JUDGED_OVER

if TYPE_CHECKING:
    import psycopg


def triggers(conn: psycopg.Connection, now: dt.datetime) -> set[str]:
    """Names of what asks for a training now; none where nothing was ever trained, Sunday does that.

    `new_machine`, `new_part`: stops of the last day whose machine or part the newest training had not seen, once.
    `accuracy`: the answers of the last 30 days were named otherwise by people too often.
    """
    from prodlytics.db.queries import sql

    found: set[str] = set()
    asked = {"now": now, "day_ago": now - dt.timedelta(days=1)}
    for name, query in (("new_machine", "select_machines_not_trained"), ("new_part", "select_parts_not_trained")):
        if conn.execute(sql(query), asked).fetchone() is not None:
            found.add(name)
    row = conn.execute(
        sql("select_share_of_right_answers"), {"start": now - JUDGED_OVER, "end": now}
    ).fetchone()  # fmt: skip
    if row is not None and row[0] >= JUDGED_ON and row[1] < ACCURACY:
        found.add("accuracy")
    return found
