"""What a derivation gives back: the rows, and the input it could not use.

Belongs here: the type and the shape of refused input. Does not belong here: storing either.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from prodlytics.kpi import spans

QUARANTINE_COLUMNS = ("event_time", "machine_id", "reason", "detail", "payload")


@dataclass(frozen=True)
class Derived:
    """Rows of a dataset, and the input that could not become rows.

    Attributes:
        rows: The columns of the dataset's table, in order of time.
        quarantined: `QUARANTINE_COLUMNS`; the detail is a sentence, the payload JSON text.
    """

    rows: pd.DataFrame
    quarantined: pd.DataFrame


@dataclass(frozen=True)
class Refused:
    """One piece of input that could not be used, and why; `at` in microseconds since 1970 UTC."""

    at: int
    reason: str
    detail: str
    payload: Mapping[str, object]


def quarantined(machine_id: str, refused: Sequence[Refused]) -> pd.DataFrame:
    """Refused input as a frame of `QUARANTINE_COLUMNS`, in order of time."""
    in_order = sorted(refused, key=lambda one: one.at)
    return pd.DataFrame(
        {
            "event_time": spans.from_us(np.array([one.at for one in in_order], dtype=np.int64)),
            "machine_id": np.full(len(in_order), machine_id, dtype=object),
            "reason": np.array([one.reason for one in in_order], dtype=object),
            "detail": np.array([one.detail for one in in_order], dtype=object),
            "payload": np.array([json.dumps(one.payload, sort_keys=True) for one in in_order], dtype=object),
        }
    )
