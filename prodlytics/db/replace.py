"""Replacing a span of a derived table by newly computed rows.

Belongs here: touching only the rows that differ, and saying which. Does not belong here: locks and marks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from prodlytics.db.frames import copy_in, read

if TYPE_CHECKING:
    import pandas as pd
    import psycopg

#: Says what was known when a row was computed; a row that came out the same keeps its own.
NOT_COMPARED = frozenset({"as_of"})


@dataclass(frozen=True)
class Changes:
    """What a replacement did.

    Attributes:
        changed: Old and new versions of the rows that differ, with a column `side`: old or new.
    """

    inserted: int
    updated: int
    deleted: int
    unchanged: int
    changed: pd.DataFrame


def replace_rows(
    conn: psycopg.Connection[Any],
    table: str,
    key: Sequence[str],
    frame: pd.DataFrame,
    where: str,
    params: Mapping[str, Any],
    open_end: str | None = None,
) -> Changes:
    """Make the rows of `table` that match `where` equal to `frame`, in the caller's transaction.

    Rows that are the same in every column but `as_of` are not touched. All other columns of the table (revision,
    defaults) keep their values on an update. The comparison is made by the database in its own types, so that a
    NUMERIC 3 and a float 3.0 are the same.

    Args:
        conn: Connection in a transaction that holds the dataset's lock.
        table: Table name.
        key: Columns of its primary key; all are in the frame.
        frame: The rows as they should be; a key occurs once.
        where: SQL condition with named parameters, from code and never from input.
        params: Their values.
        open_end: Column that is empty while a row still lasts. Such a row lasts until its `as_of`, which moves on
            although nothing about the row is news: it is not among the changes.
    """
    import pandas as pd

    names = _names(table, key, frame.columns, where)
    conn.execute("DROP TABLE IF EXISTS pg_temp.replacement")
    conn.execute(
        sql.SQL("CREATE TEMP TABLE replacement ON COMMIT DROP AS SELECT {columns} FROM {table} WITH NO DATA").format(
            **names
        )
    )
    copy_in(conn, "replacement", frame)
    conn.execute("ANALYZE pg_temp.replacement")
    old = _read(
        conn,
        sql.SQL(
            "SELECT {old} FROM {table} t WHERE ({where})"
            " AND NOT EXISTS (SELECT FROM replacement n WHERE {same_key} AND {same})"
        ).format(**names),
        params,
    )
    new = _read(
        conn,
        sql.SQL(
            "SELECT {new} FROM replacement n WHERE NOT EXISTS (SELECT FROM {table} t WHERE {same_key} AND {same})"
        ).format(**names),
        {},
    )
    deleted = conn.execute(
        sql.SQL(
            "DELETE FROM {table} t WHERE ({where}) AND NOT EXISTS (SELECT FROM replacement n WHERE {same_key})"
        ).format(**names),
        params,
    ).rowcount
    updated = conn.execute(
        sql.SQL("UPDATE {table} t SET {assign} FROM replacement n WHERE {same_key} AND NOT ({same})").format(**names)
    ).rowcount
    inserted = conn.execute(
        sql.SQL(
            "INSERT INTO {table} ({columns}) SELECT {columns} FROM replacement n"
            " WHERE NOT EXISTS (SELECT FROM {table} t WHERE {same_key})"
        ).format(**names)
    ).rowcount
    if open_end is not None:
        conn.execute(
            sql.SQL(
                "UPDATE {table} t SET as_of = n.as_of FROM replacement n"
                " WHERE {same_key} AND t.{open_end} IS NULL AND t.as_of IS DISTINCT FROM n.as_of"
            ).format(**names, open_end=sql.Identifier(open_end))
        )
    changed = pd.concat(
        [part for part in (old.assign(side="old"), new.assign(side="new")) if len(part)]
        or [old.assign(side=pd.Series(dtype=object))],
        ignore_index=True,
    )
    return Changes(inserted, updated, deleted, len(frame) - inserted - updated, changed)


def _names(table: str, key: Sequence[str], columns: Iterable[str], where: str) -> dict[str, sql.Composable]:
    """What the statements are put together from: `t` is the table, `n` the new rows."""
    columns = list(columns)
    return {
        "table": sql.Identifier(table),
        "columns": sql.SQL(", ").join(map(sql.Identifier, columns)),
        "where": sql.SQL(where),
        "same_key": sql.SQL(" AND ").join(sql.SQL("t.{0} = n.{0}").format(sql.Identifier(column)) for column in key),
        "same": sql.SQL(" AND ").join(
            sql.SQL("t.{0} IS NOT DISTINCT FROM n.{0}").format(sql.Identifier(column))
            for column in columns
            if column not in NOT_COMPARED
        ),
        "assign": sql.SQL(", ").join(
            sql.SQL("{0} = n.{0}").format(sql.Identifier(column)) for column in columns if column not in key
        ),
        "old": sql.SQL(", ").join(sql.SQL("t.{}").format(sql.Identifier(column)) for column in columns),
        "new": sql.SQL(", ").join(sql.SQL("n.{}").format(sql.Identifier(column)) for column in columns),
    }


def _read(conn: psycopg.Connection[Any], query: sql.Composed, params: Mapping[str, Any]) -> pd.DataFrame:
    return read(conn, query.as_string(conn), params)
