"""Rows of a query to a Parquet file and back, a batch at a time.

Belongs here: streaming from the database, row groups, reading back. Memory is bounded by one row group, whatever the
size of the day. Does not belong here: where the file goes (`store.py`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from pathlib import Path
from typing import Any, BinaryIO

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from prodlytics.archive.errors import ArchiveError
from prodlytics.archive.hashing import DataHash
from prodlytics.archive.shape import DECIMAL, Shape

#: One row group: large enough to compress well, small enough that a reader skips most of a day by its statistics.
ROW_GROUP_ROWS = 131_072
_QUANTUM = Decimal(1).scaleb(-DECIMAL.scale)
_EXACT = Context(prec=DECIMAL.precision, rounding=ROUND_HALF_EVEN)


@dataclass
class Content:
    """What a file holds: rows, hash of the data, first and last time (aware, UTC), values that had to be rounded."""

    rows: int = 0
    data_hash: str = ""
    first_time: dt.datetime | None = None
    last_time: dt.datetime | None = None
    rounded: dict[str, int] = field(default_factory=dict)


@contextmanager
def reader(conn: psycopg.Connection) -> Iterator[Any]:
    """A second connection to the same database that delivers Arrow; it sees what is committed."""
    from adbc_driver_postgresql import dbapi

    parameters = {**conn.info.get_parameters(), "password": conn.info.password}
    target = psycopg.conninfo.make_conninfo("", **{name: value for name, value in parameters.items() if value})
    try:
        with dbapi.connect(target, autocommit=True) as adbc:
            yield adbc
    except dbapi.Error as error:
        raise ArchiveError(f"Cannot read from the database: {str(error).splitlines()[0]}") from error


def write_query(adbc: Any, query: str, shape: Shape, target: Path, metadata: dict[str, str]) -> Content:
    """Stream a query into a Parquet file (zstd, statistics per row group) and say what went in."""
    content = Content()
    digest = DataHash(shape.schema)
    schema = shape.schema.with_metadata({f"prodlytics.{name}": value for name, value in metadata.items()})
    order = [(name, "ascending") for name in shape.sorted_by]
    with (
        adbc.cursor() as cursor,
        pq.ParquetWriter(
            target,
            schema,
            compression="zstd",
            write_statistics=True,
            sorting_columns=pq.SortingColumn.from_ordering(schema, order),
        ) as writer,
    ):
        cursor.execute(query)
        typed = (_typed(batch, shape, content.rounded) for batch in cursor.fetch_record_batch())
        for group in _row_groups(typed, shape.schema):
            for batch in group.to_batches():
                digest.update(batch)
            _note_times(content, group, shape.time_column)
            writer.write_table(group.replace_schema_metadata(schema.metadata), row_group_size=ROW_GROUP_ROWS)
    content.rows = digest.rows
    content.data_hash = digest.hexdigest()
    return content


def read_batches(file: BinaryIO | Path) -> Iterator[pa.RecordBatch]:
    """The rows of an archived file in order, a batch at a time."""
    with pq.ParquetFile(file) as parquet:
        yield from parquet.iter_batches(batch_size=ROW_GROUP_ROWS)


def read_fields(file: Path) -> list[tuple[str, str]]:
    """The columns an archived file has: name in the database and type there."""
    with pq.ParquetFile(file) as parquet:
        return [
            (field.metadata[b"column"].decode(), field.metadata[b"database_type"].decode())
            for field in parquet.schema_arrow
        ]


def count_between(file: BinaryIO | Path, column: str, start: dt.datetime, end: dt.datetime) -> int:
    """Rows whose `column` is in [start, end): reads that column alone."""
    rows = 0
    with pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(batch_size=ROW_GROUP_ROWS, columns=[column]):
            inside = pc.and_(pc.greater_equal(batch[0], pa.scalar(start)), pc.less(batch[0], pa.scalar(end)))
            rows += pc.sum(inside).as_py() or 0
    return rows


def read_content(file: BinaryIO | Path, shape: Shape) -> Content:
    """Decode a whole file and hash its rows: what a reader will get, not what the writer meant."""
    digest = DataHash(shape.schema)
    content = Content()
    for batch in read_batches(file):
        if batch.schema.remove_metadata() != shape.schema.remove_metadata():
            raise ArchiveError(f"The archived file of {shape.dataset} has other columns than the dataset.")
        digest.update(batch)
        _note_times(content, pa.Table.from_batches([batch]), shape.time_column)
    content.rows = digest.rows
    content.data_hash = digest.hexdigest()
    return content


def _row_groups(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Equal row groups whatever the batches: the same rows give the same bytes."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        waiting.append(batch)
        rows += batch.num_rows
        while rows >= ROW_GROUP_ROWS:
            table = pa.Table.from_batches(waiting, schema)
            yield table.slice(0, ROW_GROUP_ROWS)
            waiting = table.slice(ROW_GROUP_ROWS).to_batches()
            rows -= ROW_GROUP_ROWS
    if rows:
        yield pa.Table.from_batches(waiting, schema)


def _typed(batch: pa.RecordBatch, shape: Shape, rounded: dict[str, int]) -> pa.RecordBatch:
    columns = []
    for array, target in zip(batch.columns, shape.schema, strict=True):
        if target.type == DECIMAL:
            columns.append(_decimals(array, f"{shape.dataset}.{target.name}", rounded))
        else:
            columns.append(array if array.type == target.type else pc.cast(array, target.type))
    return pa.RecordBatch.from_arrays(columns, schema=shape.schema)


def _decimals(texts: pa.Array, column: str, rounded: dict[str, int]) -> pa.Array:
    try:
        return pc.cast(texts, DECIMAL)
    except pa.ArrowInvalid:
        # Some value has more decimals than fit: one by one.
        values = [None if text is None else _decimal(text, column) for text in texts.to_pylist()]
    rounded[column] = rounded.get(column, 0) + sum(
        value is not None and value != Decimal(text) for value, text in zip(values, texts.to_pylist(), strict=True)
    )
    return pa.array(values, DECIMAL)


def _decimal(text: str, column: str) -> Decimal:
    try:
        value = Decimal(text).quantize(_QUANTUM, context=_EXACT)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise ArchiveError(f"Cannot archive {column}: {text} does not fit decimal(38, 18); correct the row.")
    return value


def _note_times(content: Content, table: pa.Table, time_column: str | None) -> None:
    if time_column is None or not table.num_rows:
        return
    bounds = pc.min_max(table[time_column]).as_py()
    if bounds["min"] is not None:
        content.first_time = min(content.first_time or bounds["min"], bounds["min"])
        content.last_time = max(content.last_time or bounds["max"], bounds["max"])
