"""Figures that came out differently: the next revision, and what changed by how much and why.

Belongs here: writing `restatements` and raising `revision`, in the transaction that replaced the rows. Does not belong
here: which figures of a dataset count, and when its period is over; each asset says so.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from prodlytics.datasets.registry import DATASETS
from prodlytics.db.queries import sql as query

if TYPE_CHECKING:
    import psycopg

    from prodlytics.assets.causes import Causes
    from prodlytics.db.replace import Changes

Row = dict[Any, Any]


@dataclass(frozen=True)
class Place:
    """What a figure is about.

    Attributes:
        member: The machine, or the line, plant or part for another level.
        starts_at: Where its period begins.
        production_date: The day of the period, the first one of a week.
        level: machine, line, plant, part, family.
        period: hour, shift, day, week.
        shift: Its name, for a shift.
    """

    member: str
    starts_at: dt.datetime
    production_date: dt.date
    level: str = "machine"
    period: str = "hour"
    shift: str | None = None


def restate(
    conn: psycopg.Connection[Any],
    name: str,
    changes: Changes,
    causes: Causes,
    *,
    columns: Sequence[str],
    ends_at: Callable[[Row], dt.datetime],
    place: Callable[[Row], Place] | None = None,
) -> list[dt.date]:
    """Raise the revision of rows of closed periods that came out differently.

    A period that was still running when it was computed grows: that is no restatement.

    Args:
        conn: In the transaction that replaced the rows.
        name: Dataset with a column `revision`.
        changes: What was replaced.
        causes: Why, in the words of the dirty marks.
        columns: Figures whose change counts.
        ends_at: End of the period of a row, from its old values.
        place: What a row is about; with it each changed figure becomes a row of `restatements`.

    Returns:
        Production dates of which figures were written down, in order, each once.
    """
    import pandas as pd

    changed = changes.changed
    if changed.empty:
        return []
    key = list(DATASETS[name].key)
    sides = {side: rows.set_index(key, drop=False) for side, rows in changed.groupby("side")}
    if len(sides) < 2:
        return []
    both = sides["old"].index.intersection(sides["new"].index)
    restated: list[tuple[Row, list[str], Row]] = []
    for old, new in zip(
        sides["old"].loc[both].to_dict("records"), sides["new"].loc[both].to_dict("records"), strict=True
    ):
        differ = [column for column in columns if not _same(old[column], new[column])]
        if differ and ends_at(old) <= old["as_of"]:
            restated.append((old, differ, new))
    revisions = _raise(conn, name, key, [new for _, _, new in restated])
    if place is None:
        return []
    rows: list[Row] = []
    for (old, differ, new), revision in zip(restated, revisions, strict=True):
        at = place(new)
        told = {**vars(at), "dataset": name, "new_revision": revision, "cause": causes.of(at.member, at.starts_at)}
        rows += [
            {**told, "column_name": column, "old_value": _number(old[column]), "new_value": _number(new[column])}
            for column in differ
        ]
    with conn.cursor() as cursor:
        cursor.executemany(query("insert_restatement"), rows)
    return sorted({pd.Timestamp(row["production_date"]).date() for row in rows})


def _raise(conn: psycopg.Connection[Any], name: str, key: list[str], rows: list[Row]) -> list[int]:
    """The new revision of each row."""
    if not rows:
        return []
    update = sql.SQL("UPDATE {table} SET revision = revision + 1 WHERE {key} RETURNING revision").format(
        table=sql.Identifier(name),
        key=sql.SQL(" AND ").join(sql.SQL("{} = {}").format(sql.Identifier(c), sql.Placeholder(c)) for c in key),
    )
    revisions: list[int] = []
    with conn.cursor() as cursor:
        cursor.executemany(update, [{column: row[column] for column in key} for row in rows], returning=True)
        while True:
            found = cursor.fetchone()
            revisions.append(found[0] if found else 0)
            if not cursor.nextset():
                return revisions


def _same(old: Any, new: Any) -> bool:
    import pandas as pd

    return bool((pd.isna(old) and pd.isna(new)) or old == new)


def _number(value: Any) -> float | None:
    import pandas as pd

    return None if pd.isna(value) else float(value)
