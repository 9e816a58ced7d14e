"""A hash of rows, not of files.

Belongs here: what makes two days the same data. It does not depend on compression, row groups, batch sizes or the
version of the library that wrote the file; it does depend on column names, types, order of rows and every value.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa


class DataHash:
    """Fed with record batches in order; the same rows in other batches give the same digest."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._columns = [(hashlib.sha256(), hashlib.sha256(), hashlib.sha256()) for _ in schema]
        self.rows = 0

    def update(self, batch: pa.RecordBatch) -> None:
        """Add rows; the batch must have the schema given at the start."""
        for array, (values, lengths, nulls) in zip(batch.columns, self._columns, strict=True):
            if array.null_count:
                missing = np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False)) + self.rows
                nulls.update(missing.astype("<i8").tobytes())
                array = array.drop_null()
            if pa.types.is_string(array.type):
                bounds = np.frombuffer(array.buffers()[1], "<i4")[array.offset : array.offset + len(array) + 1]
                if len(array):
                    lengths.update(np.diff(bounds).astype("<i4").tobytes())
                    values.update(memoryview(array.buffers()[2] or b"")[bounds[0] : bounds[-1]])
            else:
                values.update(_fixed_width(array))
        self.rows += batch.num_rows

    def hexdigest(self) -> str:
        """The digest over everything fed so far."""
        total = hashlib.sha256()
        for field, digests in zip(self._schema, self._columns, strict=True):
            total.update(f"{field.name}\0{field.type}\0".encode())
            for digest in digests:
                total.update(digest.digest())
        total.update(str(self.rows).encode())
        return total.hexdigest()


def _fixed_width(array: pa.Array) -> bytes:
    if pa.types.is_boolean(array.type):
        return bytes(array.to_numpy(zero_copy_only=False).astype("u1"))
    if pa.types.is_float64(array.type):
        numbers = array.to_numpy(zero_copy_only=False)
        # Two NaN may differ in bits that mean nothing.
        return bytes(np.where(np.isnan(numbers), np.nan, numbers).astype("<f8").tobytes())
    width = array.type.bit_width // 8
    buffer = array.buffers()[1]
    return (
        b"" if buffer is None else bytes(memoryview(buffer)[array.offset * width : (array.offset + len(array)) * width])
    )
