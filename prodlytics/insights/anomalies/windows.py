"""Rows of sensor values to what a window of them looks like.

Belongs here: rolling mean and deviation that never cross a gap, and how much of a channel is drift. Does not belong
here: what is normal (`process.py`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def features(values: Floats, segments: Ints, window: int) -> Floats:
    """Mean and standard deviation of the last `window` rows of each channel: first all means, then all deviations.

    A window never reaches over the edge of a segment, so the first rows of one are not a number; neither is a channel
    with less than half of its rows in the window. Missing stays missing.
    """
    frame = pd.DataFrame(values)
    rolling = frame.groupby(segments, sort=False).rolling(window, min_periods=max(2, window // 2))
    place = _place_in_segment(segments)
    mean = rolling.mean().droplevel(0).sort_index().to_numpy(dtype=np.float64)
    spread = rolling.std().droplevel(0).sort_index().to_numpy(dtype=np.float64)
    found: Floats = np.hstack([mean, spread])
    found[place < window - 1] = np.nan
    return found


def _place_in_segment(segments: Ints) -> Ints:
    """How many rows of its segment come before each row; segments are contiguous."""
    if len(segments) == 0:
        return np.zeros(0, dtype=np.int64)
    starts = np.r_[0, np.flatnonzero(np.diff(segments)) + 1]
    lengths = np.diff(np.r_[starts, len(segments)])
    return np.asarray(np.arange(len(segments)) - np.repeat(starts, lengths), dtype=np.int64)


def swings(values: Floats, window: int) -> Floats:
    """How often each channel swung independently: rows / (variance of window means over what noise alone would give).

    A channel that wanders slowly has few swings, however many rows there are: its range is not known yet, and the next
    value outside it says nothing.
    """
    count = len(values) // window
    blocks = values[: count * window].reshape(count, window, -1)
    known = ~np.isnan(blocks)
    rows = known.sum(axis=1)
    total = np.where(known, blocks, 0.0).sum(axis=1)
    mean = np.divide(total, rows, out=np.full(total.shape, np.nan), where=rows >= window / 2)
    deviation = np.where(known, blocks - mean[:, None, :], 0.0)
    within = np.divide((deviation**2).sum(axis=1), rows - 1, out=np.full(total.shape, np.nan), where=rows > 1)
    wander = np.full(values.shape[1], np.inf)
    for channel in range(values.shape[1]):
        fit = ~np.isnan(mean[:, channel])
        noise = float(np.nanmean(within[fit, channel])) / window if fit.sum() > 2 else 0.0
        if noise > 0:
            wander[channel] = float(np.var(mean[fit, channel], ddof=1)) / noise
    return np.asarray(known.sum(axis=(0, 1)) / np.maximum(wander, 1.0), dtype=np.float64)
