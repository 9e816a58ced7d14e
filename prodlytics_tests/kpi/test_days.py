"""Cutting spans at day edges: nothing lost, nothing doubled, whatever the spans and edges."""

from __future__ import annotations

import datetime as dt

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from prodlytics.kpi.days import cut_at

EPOCH = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)


def moment(second: int) -> dt.datetime:
    return EPOCH + dt.timedelta(seconds=second)


@given(
    spans=st.lists(st.tuples(st.integers(0, 50), st.integers(1, 30)), min_size=1, max_size=6),
    edges=st.lists(st.integers(0, 80), min_size=1, max_size=6, unique=True).map(sorted),
)
def test_each_second_stays_in_its_row_and_no_piece_crosses_an_edge(
    spans: list[tuple[int, int]], edges: list[int]
) -> None:
    frame = pd.DataFrame(
        {
            "row": range(len(spans)),
            "starts_at": pd.Series([moment(start) for start, _ in spans]).astype("datetime64[us, UTC]"),
            "ends_at": pd.Series([moment(start + length) for start, length in spans]).astype("datetime64[us, UTC]"),
            "is_open": True,
        }
    )
    out = cut_at(frame, [moment(edge) for edge in edges])
    seconds: dict[int, list[int]] = {}
    for row, start, end in zip(out["row"], out["starts_at"], out["ends_at"], strict=True):
        first, last = int((start - EPOCH).total_seconds()), int((end - EPOCH).total_seconds())
        assert first < last
        assert not any(first < edge < last for edge in edges)
        seconds.setdefault(row, []).extend(range(first, last))
    for row, (start, length) in enumerate(spans):
        assert seconds[row] == list(range(start, start + length))
        pieces = out[out["row"] == row]
        assert list(pieces["is_open"]) == [False] * (len(pieces) - 1) + [True]
