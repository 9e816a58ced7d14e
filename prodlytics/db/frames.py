"""Frames in and out of the database.

Belongs here: the one translation between PostgreSQL's types and ours. Times come as datetime64[us, UTC], NUMERIC as
float64, dates as datetime.date, missing text as None. Does not belong here: telemetry, which has a way of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.types.numeric import Int8BinaryLoader

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

_FLOATS = {"float4", "float8", "numeric"}
_INTEGERS = {"int2", "int4", "int8"}
_PG_EPOCH_US = 946_684_800_000_000
_NO_TIME = -(2**63)


def read(conn: psycopg.Connection[Any], query: LiteralString, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """Rows of a query as a frame; an empty result has its columns and their types.

    Whole numbers become float64 where one is missing.
    """
    import numpy as np
    import pandas as pd

    with conn.cursor(binary=True) as cursor:
        # Instants come as the server keeps them, whole microseconds: an object for each would take most of the time.
        cursor.adapters.register_loader("timestamptz", Int8BinaryLoader)
        cursor.execute(query, params)
        description = cursor.description or []
        rows = cursor.fetchall()
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(description)
    frame: dict[str, Any] = {}
    for column, values in zip(description, columns, strict=True):
        kind = psycopg.adapters.types[column.type_code].name
        if kind == "timestamptz":
            frame[column.name] = _times(values)
        elif kind in _FLOATS or (kind in _INTEGERS and None in values):
            # Money keeps its decimals in the database; arithmetic on frames is in float64, exact to 15 digits.
            frame[column.name] = np.array(values, dtype=np.float64)
        elif kind in _INTEGERS:
            frame[column.name] = np.array(values, dtype=np.int64)
        elif kind == "bool" and None not in values:
            frame[column.name] = np.array(values, dtype=bool)
        else:
            frame[column.name] = pd.Series(values, dtype=object)
    return pd.DataFrame(frame, columns=[column.name for column in description])


def read_many(
    conn: psycopg.Connection[Any], query: LiteralString, params: Mapping[str, Any] | None = None
) -> pd.DataFrame:
    """The same frame as `read`, for tens of thousands of rows: by COPY and Arrow, a quarter of the time in Python.

    For few rows `read` is faster: here the database is asked twice, first for the columns.
    """
    import pyarrow as pa
    from pyarrow import csv

    kinds = {
        **dict.fromkeys(_FLOATS, pa.float64()), **dict.fromkeys(_INTEGERS, pa.int64()),
        "timestamptz": pa.timestamp("us", "UTC"), "date": pa.date32(), "bool": pa.bool_(),
    }  # fmt: skip
    asked = sql.SQL(query)
    with conn.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT * FROM ({}) AS asked LIMIT 0").format(asked), params)
        types = {
            column.name: kinds.get(psycopg.adapters.types[column.type_code].name, pa.string())
            for column in cursor.description or []
        }
        with cursor.copy(sql.SQL("COPY ({}) TO STDOUT (FORMAT csv)").format(asked), params) as copy:
            text = b"".join(copy)
    if not text:
        return read(conn, query, params)
    table = csv.read_csv(
        pa.BufferReader(text),
        read_options=csv.ReadOptions(column_names=list(types), use_threads=False, block_size=len(text) + 1),
        # In PostgreSQL's CSV nothing is NULL and "" is an empty text.
        convert_options=csv.ConvertOptions(
            column_types=types, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False,
            true_values=["t"], false_values=["f"],
        ),
        parse_options=csv.ParseOptions(newlines_in_values=True),
    )  # fmt: skip
    frame: pd.DataFrame = table.to_pandas(date_as_object=True)
    return frame


def unpacked(kinds: pd.DataFrame, packed: Sequence[str]) -> pd.DataFrame:
    """A frame with a row for each of a hundred thousand instants, from one with a row for each kind of instant.

    Args:
        kinds: What all instants of a kind have in common.
        packed: Columns that hold the instants of a kind as `timestamptz_send` gives them, each in the same order.

    Returns:
        The same columns in order of the first of those; at the same instant in the order of the kinds.
    """
    import numpy as np

    instants = [np.frombuffer(b"".join(kinds[name]), dtype=">i8").astype(np.int64) for name in packed]
    kind = np.repeat(np.arange(len(kinds)), [len(value) // 8 for value in kinds[packed[0]]])
    order = np.argsort(instants[0], kind="stable")
    rows = kinds.iloc[kind[order]].reset_index(drop=True)
    return rows.assign(**{name: _as_times(since[order]) for name, since in zip(packed, instants, strict=True)})


def unpack_times(packed: bytes | None) -> npt.NDArray[np.int64]:
    """Instants packed by `timestamptz_send` as microseconds since 1970."""
    import numpy as np

    return np.frombuffer(packed or b"", dtype=">i8").astype(np.int64) + _PG_EPOCH_US


def _times(values: tuple[Any, ...]) -> pd.Series:
    import numpy as np

    return _as_times(np.array([_NO_TIME if v is None else v for v in values] if None in values else values, np.int64))


def _as_times(since_2000: npt.NDArray[np.int64]) -> pd.Series:
    import numpy as np
    import pandas as pd

    instants = (since_2000 + _PG_EPOCH_US).view("datetime64[us]")
    instants[since_2000 == _NO_TIME] = np.datetime64("NaT")
    return pd.Series(instants).dt.tz_localize("UTC")


def microseconds(times: pd.Series) -> npt.NDArray[np.int64]:
    """Instants as microseconds since 1970; a missing one is the smallest int64."""
    import numpy as np

    return times.to_numpy(dtype="datetime64[us]").astype(np.int64)


def copy_in(conn: psycopg.Connection[Any], table: str, frame: pd.DataFrame) -> int:
    """Add a frame's rows to a table by COPY; columns go by name.

    As CSV written by Arrow: half a million events take 1 s, and 12 s as rows of Python values.
    """
    import pyarrow as pa
    from pyarrow import csv

    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv, NULL '')").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, frame.columns))
    )
    rows = pa.Table.from_pandas(frame, preserve_index=False)
    # Arrow has no CSV for a column of nothing but missing values.
    kinds = [pa.field(f.name, pa.string() if pa.types.is_null(f.type) else f.type) for f in rows.schema]
    rows = rows.cast(pa.schema(kinds))
    # Text is always quoted, so that an empty one is not NULL.
    options = csv.WriteOptions(include_header=False, quoting_style="needed")
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        for batch in rows.to_batches(max_chunksize=50_000):
            block = pa.BufferOutputStream()
            csv.write_csv(pa.Table.from_batches([batch]), block, options)
            copy.write(block.getvalue().to_pybytes())
    return len(frame)
