"""From a table of the database to the columns of a Parquet file.

Belongs here: which type a column has in the archive, and the SELECT that delivers a day in that form. Does not belong
here: reading and writing the rows (`parquet.py`).

Types: timestamps are timestamp[us, UTC], dates date32, counts of the database (bigint, integer, smallint) keep their
width, double stays double. NUMERIC becomes decimal128(38, 18): money and counts add up to the last digit in every
reader, which doubles do not; digits beyond the eighteenth decimal are rounded and counted in the manifest. JSON is
text. A column named like a level of the layout (`dataset`, `date`, `plant`) would be hidden by it in every reader that
knows Hive folders, so it gets the suffix `_value`.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import LiteralString

import psycopg
import pyarrow as pa

from prodlytics.archive.errors import ArchiveError
from prodlytics.datasets.registry import Dataset

DECIMAL = pa.decimal128(38, 18)
_LAYOUT_LEVELS = ("plant", "dataset", "date")
_NAME = re.compile(r"^[a-z_][a-z0-9_]*$")

_TYPES: dict[str, pa.DataType] = {
    "text": pa.string(),
    "character varying": pa.string(),
    "jsonb": pa.string(),
    "json": pa.string(),
    "timestamp with time zone": pa.timestamp("us", tz="UTC"),
    "date": pa.date32(),
    "double precision": pa.float64(),
    "bigint": pa.int64(),
    "integer": pa.int32(),
    "smallint": pa.int16(),
    "boolean": pa.bool_(),
    "numeric": DECIMAL,
}
#: The types again as text for SQL: what a file says of itself is looked up here and never put into a statement.
COPY_TYPES: dict[str, LiteralString] = {
    "text": "text",
    "character varying": "text",
    "jsonb": "jsonb",
    "json": "json",
    "timestamp with time zone": "timestamptz",
    "date": "date",
    "double precision": "double precision",
    "bigint": "bigint",
    "integer": "integer",
    "smallint": "smallint",
    "boolean": "boolean",
    "numeric": "numeric",
}
#: Sent as text: Arrow has no exact reading of the wire form.
_AS_TEXT = ("numeric", "jsonb", "json", "character varying")


@dataclass(frozen=True)
class Shape:
    """How one dataset is archived.

    Attributes:
        schema: Columns of the file; field metadata `column` and `database_type` say where each came from.
        query: SELECT of a day's rows in order of the key, without bounds filled in.
        time_column: Column of the file whose first and last value go to the manifest; None for a dataset without times.
    """

    dataset: str
    schema: pa.Schema
    select: str
    bounded_by: str
    by_date: bool
    order_by: str
    sorted_by: tuple[str, ...]
    time_column: str | None

    def query(self, production_date: dt.date, start: dt.datetime, end: dt.datetime) -> str:
        """The statement for one production day: rows that start in [start, end), or that carry the date."""
        if self.by_date:
            where = f"{self.bounded_by} = date '{production_date:%Y-%m-%d}'"
        else:
            where = f"{self.bounded_by} >= {_instant(start)} AND {self.bounded_by} < {_instant(end)}"
        return f"{self.select} WHERE {where} {self.order_by}"

    def describe(self) -> dict[str, object]:
        """For the manifest: columns with their types, and the order of rows."""
        columns = [
            {"name": f.name, "type": str(f.type), "database_type": f.metadata[b"database_type"].decode()}
            for f in self.schema
        ]
        return {"columns": columns, "sorted_by": list(self.sorted_by)}


def shape_of(conn: psycopg.Connection, dataset: Dataset) -> Shape:
    """Ask the database for the dataset's columns.

    A row belongs to the day in which its time span starts; a dataset without times goes by `production_date`.
    """
    rows = conn.execute(
        """
        SELECT a.attname, format_type(a.atttypid, NULL), a.attnotnull
        FROM pg_attribute a
        WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
        ORDER BY a.attnum
        """,
        (dataset.name,),
    ).fetchall()
    types = {name: kind for name, kind, _required in rows}
    bounded_by = dataset.span[0] if dataset.span else "production_date"
    for name in (*dataset.key, bounded_by):
        if name not in types:
            raise ArchiveError(
                f"Cannot archive {dataset.name}: the database has no {dataset.name}.{name}; run `prodlytics migrate`."
            )
    fields = [_field(dataset.name, name, kind) for name, kind, _required in rows]
    wanted = ", ".join(f'"{name}"::text' if kind in _AS_TEXT else f'"{name}"' for name, kind in types.items())
    # Byte order of text, whatever the server's locale: the same rows hash the same on every server.
    order = ", ".join(f'"{name}" COLLATE "C"' if types[name] == "text" else f'"{name}"' for name in dataset.key)
    return Shape(
        dataset=dataset.name,
        schema=pa.schema(fields),
        select=f'SELECT {wanted} FROM "{dataset.name}"',  # noqa: S608 - names come from the catalog and the registry
        bounded_by=f'"{bounded_by}"',
        by_date=dataset.span is None,
        order_by=f"ORDER BY {order}",
        sorted_by=tuple(_file_name(name) for name in dataset.key),
        time_column=_file_name(bounded_by) if dataset.span else None,
    )


def _file_name(column: str) -> str:
    return f"{column}_value" if column in _LAYOUT_LEVELS else column


def _field(dataset: str, column: str, kind: str) -> pa.Field:
    if kind not in _TYPES or not _NAME.match(column):
        raise ArchiveError(f"Cannot archive {dataset}.{column}: no archive type is defined for {kind}.")
    return pa.field(_file_name(column), _TYPES[kind], metadata={"column": column, "database_type": kind})


def _instant(time: dt.datetime) -> str:
    if time.tzinfo is None:
        raise ValueError("write an aware time")
    return f"timestamptz '{time.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S.%f}+00'"
