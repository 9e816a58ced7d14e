"""Cutting spans at the edges of production days.

Belongs here: the one rule that makes a day computed alone and a year computed at once give the same rows: whatever is
stored as a span is cut where a production day ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from prodlytics.kpi import spans

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    import pandas as pd


def cut_at(frame: pd.DataFrame, edges: Sequence[dt.datetime]) -> pd.DataFrame:
    """Cut rows with `starts_at` and `ends_at` at each edge inside them; the other columns are repeated.

    A column `is_open` stays true only on the last piece of a row.
    """
    if frame.empty or not len(edges):
        return frame
    cuts = np.array([spans.instant_us(edge) for edge in edges], dtype=np.int64)
    starts, ends = spans.to_us(frame["starts_at"]), spans.to_us(frame["ends_at"])
    first = np.searchsorted(cuts, starts, side="right")
    last = np.searchsorted(cuts, ends, side="left")
    pieces = np.maximum(last - first, 0) + 1
    rows = np.repeat(np.arange(len(frame)), pieces)
    nth = np.arange(len(rows)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    is_last = nth == pieces[rows] - 1
    # Where a piece is the first or last of its row the edge is not used; the index only has to exist.
    begins = cuts[np.clip(first[rows] + nth - 1, 0, len(cuts) - 1)]
    finishes = cuts[np.clip(first[rows] + nth, 0, len(cuts) - 1)]
    out = frame.iloc[rows].reset_index(drop=True)
    out["starts_at"] = spans.from_us(np.where(nth == 0, starts[rows], begins))
    out["ends_at"] = spans.from_us(np.where(is_last, ends[rows], finishes))
    if "is_open" in out:
        out["is_open"] = out["is_open"].to_numpy(dtype=bool) & is_last
    return out
