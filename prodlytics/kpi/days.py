"""Cutting spans at the edges of production days.

Belongs here: the one rule that makes a day computed alone and a year computed at once give the same rows: whatever is
stored as a span is cut where a production day ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence


def cut_at(frame: pd.DataFrame, edges: Sequence[dt.datetime]) -> pd.DataFrame:
    """Cut rows with `starts_at` and `ends_at` at each edge inside them; the other columns are repeated.

    A column `is_open` stays true only on the last piece of a row.
    """
    if frame.empty or not len(edges):
        return frame
    cuts = pd.DatetimeIndex(edges).as_unit("us").asi8
    starts = pd.DatetimeIndex(frame["starts_at"]).as_unit("us").asi8
    ends = pd.DatetimeIndex(frame["ends_at"]).as_unit("us").asi8
    first = np.searchsorted(cuts, starts, side="right")
    last = np.searchsorted(cuts, ends, side="left")
    pieces = np.maximum(last - first, 0) + 1
    rows = np.repeat(np.arange(len(frame)), pieces)
    nth = np.arange(len(rows)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    inner = np.minimum(first[rows] + nth, len(cuts) - 1)
    before = np.maximum(first[rows] + nth - 1, 0)
    is_last = nth == pieces[rows] - 1
    out = frame.iloc[rows].reset_index(drop=True)
    zone = frame["starts_at"].dtype
    out["starts_at"] = (
        pd.Series(np.where(nth == 0, starts[rows], cuts[before])).astype("datetime64[us, UTC]").astype(zone)
    )
    out["ends_at"] = pd.Series(np.where(is_last, ends[rows], cuts[inner])).astype("datetime64[us, UTC]").astype(zone)
    if "is_open" in out:
        out["is_open"] = out["is_open"].to_numpy(dtype=bool) & is_last
    return out
