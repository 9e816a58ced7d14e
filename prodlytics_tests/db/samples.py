"""Small sample batches by hand, in the shape every format produces."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import pandas as pd

#: machine, metric, native code, time, value, text, quality, published
Row = tuple[str, str, str, dt.datetime, float | None, str | None, int, dt.datetime | None]


def batch(rows: Sequence[Row], origin: str = "by hand") -> pd.DataFrame:
    """A SampleBatch of these rows, in this order."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * 8
    return pd.DataFrame(
        {
            "time": pd.Series(pd.DatetimeIndex(list(columns[3]), tz="UTC").as_unit("us")),
            "machine_id": pd.Series(columns[0], dtype=object),
            "metric_name": pd.Series(columns[1], dtype=object),
            "native_code": pd.Series(columns[2], dtype=object),
            "unit": pd.Series([None] * len(rows), dtype=object),
            "value": pd.Series(columns[4], dtype="float64"),
            "value_text": pd.Series(columns[5], dtype=object),
            "quality": pd.Series(columns[6], dtype="int16"),
            "published_at": pd.Series(pd.DatetimeIndex(list(columns[7]), tz="UTC").as_unit("us")),
            "source": pd.Series(["test"] * len(rows), dtype=object),
            "origin": pd.Series([origin] * len(rows), dtype=object),
            "position": pd.Series(range(1, len(rows) + 1), dtype="int64"),
        }
    )
