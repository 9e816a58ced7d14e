"""What was known of a machine at the moment it stopped.

Belongs here: the columns of `stop_features` from what the database found for each stop, and their fingerprint. Does not
belong here: the windows themselves, which are SQL (`sql/queries/select_*_before_stops.sql`), or what a model makes of
them (`causes`). Missing stays missing: a sensor that said nothing is absent, never zero.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping

import pandas as pd

from prodlytics.datasets.registry import DATASETS

#: Changes when a feature gets another meaning; a model is used only with the version it was trained on.
FEATURE_VERSION = "1"
#: Shorter stops are not described: a micro-stop is over before anybody could name its cause.
AT_LEAST_S = 60.0
#: Seconds before the stop that the two windows look at.
WINDOWS = {"sensors_60s": 60, "sensors_5min": 300}
COLUMNS = list(DATASETS["stop_features"].columns)


def assemble(
    stops: pd.DataFrame,
    found: Mapping[str, pd.DataFrame],
    materials: Mapping[str, str | None],
    as_of: dt.datetime,
) -> pd.DataFrame:
    """Rows of `stop_features`.

    Args:
        stops: machine_id, stop_started_at, stop_id, state, fault_code, shift, production_date.
        found: What each query found, by the column it fills; `history` fills several. `nth` counts the stops from 1;
            a stop of which nothing was found has no row.
        materials: Part number to its material.
        as_of: What was known when this was computed.
    """
    rows = stops.reset_index(drop=True)
    nth = pd.RangeIndex(1, len(rows) + 1)
    for name in (*WINDOWS, "last_values"):
        column = name if name == "last_values" else "sensors"
        said = found[name].set_index("nth")[column].reindex(nth)
        rows[name] = said.where(said.notna(), "{}").to_numpy(dtype=object)
    history = found["history"].set_index("nth").reindex(nth)
    for name in history.columns:
        rows[name] = history[name].to_numpy()
    rows["material"] = [materials.get(part) for part in rows["part_number"]]
    rows["material"] = rows["material"].astype(object).where(rows["material"].notna(), None)
    rows["feature_version"] = FEATURE_VERSION
    rows["fingerprint"] = _fingerprints(rows)
    rows["as_of"] = pd.Series(as_of, index=rows.index, dtype="datetime64[us, UTC]")
    return rows[COLUMNS]


def _fingerprints(rows: pd.DataFrame) -> list[str]:
    names = [name for name in COLUMNS if name not in ("fingerprint", "as_of")]
    columns = [rows[name].astype(object).where(rows[name].notna(), None) for name in names]
    return [hashlib.sha256(repr(row).encode()).hexdigest()[:16] for row in zip(*columns, strict=True)]
