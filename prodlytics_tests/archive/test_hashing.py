"""The hash of a day's data says whether it is the same data, and nothing else."""

from __future__ import annotations

import datetime as dt
import io
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodlytics.archive.hashing import DataHash

SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("value", pa.float64()),
        ("count", pa.int64()),
        ("quality", pa.int16()),
        ("cost", pa.decimal128(38, 18)),
        ("time", pa.timestamp("us", tz="UTC")),
        ("day", pa.date32()),
        ("open", pa.bool_()),
    ]
)


def _or_none(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


ROW = st.tuples(
    _or_none(st.text(max_size=5)),
    _or_none(st.floats()),
    _or_none(st.integers(-(2**63), 2**63 - 1)),
    _or_none(st.integers(-(2**15), 2**15 - 1)),
    _or_none(st.decimals(-1000, 1000, places=4)),
    _or_none(st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2100, 1, 1), timezones=st.just(dt.UTC))),  # noqa: DTZ001
    _or_none(st.dates()),
    _or_none(st.booleans()),
)


def _table(rows: list[tuple[Any, ...]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [[] for _ in SCHEMA]
    return pa.table([pa.array(list(c), f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


def _hash(table: pa.Table, size: int | None = None) -> str:
    digest = DataHash(table.schema)
    for batch in table.to_batches(max_chunksize=size):
        digest.update(batch)
    return digest.hexdigest()


@given(st.lists(ROW, max_size=30), st.integers(1, 10))
def test_batches_do_not_matter(rows: list[tuple[Any, ...]], size: int) -> None:
    assert _hash(_table(rows), size) == _hash(_table(rows))


@given(
    st.lists(ROW, min_size=1, max_size=20),
    st.sampled_from(["none", "snappy", "zstd"]),
    st.integers(1, 7),
    st.booleans(),
)
def test_encoding_does_not_matter(rows: list[tuple[Any, ...]], compression: str, size: int, dictionary: bool) -> None:
    table, file = _table(rows), io.BytesIO()
    pq.write_table(table, file, compression=compression, row_group_size=size, use_dictionary=dictionary)
    assert _hash(pq.read_table(file)) == _hash(table)


@given(st.lists(ROW, min_size=1, max_size=20), st.data())
def test_every_value_matters(rows: list[tuple[Any, ...]], data: st.DataObject) -> None:
    row, column = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.integers(0, len(SCHEMA) - 1))
    other = data.draw(ROW)
    changed = [*rows[:row], (*rows[row][:column], other[column], *rows[row][column + 1 :]), *rows[row + 1 :]]
    same = _table(rows).equals(_table(changed)) or str(_table(rows).to_pylist()) == str(_table(changed).to_pylist())
    assert (_hash(_table(changed)) == _hash(_table(rows))) == same


@given(st.lists(ROW, min_size=2, max_size=10, unique_by=lambda row: str(row)))
def test_the_order_of_rows_matters(rows: list[tuple[Any, ...]]) -> None:
    assert _hash(_table(rows[::-1])) != _hash(_table(rows))


def test_text_at_the_border_of_two_rows_is_not_the_same_text() -> None:
    a, b = pa.table({"x": ["ab", "c"]}), pa.table({"x": ["a", "bc"]})
    assert _hash(a) != _hash(b)


def test_missing_is_not_empty_and_not_zero() -> None:
    assert _hash(pa.table({"x": pa.array([None], pa.string())})) != _hash(pa.table({"x": [""]}))
    assert _hash(pa.table({"x": pa.array([None], pa.int64())})) != _hash(pa.table({"x": [0]}))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (pa.table({"x": [1]}), pa.table({"y": [1]})),
        (pa.table({"x": pa.array([1], pa.int64())}), pa.table({"x": pa.array([1], pa.int32())})),
        (pa.table({"x": [Decimal("1.5")]}), pa.table({"x": [1.5]})),
    ],
)
def test_names_and_types_matter(a: pa.Table, b: pa.Table) -> None:
    assert _hash(a) != _hash(b)
