"""Invented rows of `stop_features` with a cause one can read from them, and ones where nobody could.

Belongs here: what the tests of causes share. Does not belong here: assertions.
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from prodlytics.datasets.registry import DATASETS

ZONE = "America/Chicago"
FIRST = pd.Timestamp("2026-08-03T12:00:00Z")


def invented(count: int = 900, days: int = 60, seed: int = 3) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Features, causes and production dates: a hot spindle is MECH, a dull tool vibrates (TOOL), the rest is MATL.

    The two machines run at different temperatures: 20 degrees over usual is what tells, not the level.
    """
    rng = np.random.default_rng(seed)
    start = FIRST + pd.to_timedelta(np.sort(rng.integers(0, days * 86_400, count)), unit="s")
    machine = rng.choice(["Mill01", "Mill02"], count)
    cause = rng.choice(np.array(["MECH", "TOOL", "MATL"], dtype=object), count, p=[0.3, 0.3, 0.4])
    base = np.where(machine == "Mill01", 40.0, 70.0)
    heat = base + np.where(cause == "MECH", 20.0, 0.0) + rng.normal(0, 3, count)
    shake = np.where(cause == "TOOL", 4.0, 1.5) + rng.normal(0, 0.4, count)
    rows = pd.DataFrame({name: [None] * count for name in DATASETS["stop_features"].columns})
    rows["machine_id"], rows["stop_started_at"] = machine, pd.Series(start).astype("datetime64[us, UTC]")
    rows["production_date"] = pd.Series(start).dt.tz_convert(ZONE).dt.date
    rows["stop_id"] = [f"{m}@{t}" for m, t in zip(machine, start, strict=True)]
    rows["feature_version"], rows["state"], rows["fingerprint"] = "1", "idle", [f"{n:x}" for n in range(count)]
    for name in ("stops_1h", "stops_24h", "alarms_5min", "alarms_24h", "parts_5min", "rejects_1h"):
        rows[name] = rng.integers(0, 5, count).astype(float)
    for name in ("run_length_s", "previous_stop_s", "minutes_since_alarm", "hours_since_maintenance"):
        rows[name] = np.where(rng.random(count) < 0.2, np.nan, rng.exponential(900, count))
    window = [
        json.dumps({"SpindleTemp_C": {"n": 6, "mean": float(h), "std": 0.5, "min": float(h) - 1, "max": float(h) + 1,
                                      "last": float(h)},
                    "Vibration_mms": {"n": 6, "mean": float(v), "std": 0.1, "min": float(v), "max": float(v),
                                      "last": float(v)}})
        for h, v in zip(heat, shake, strict=True)
    ]  # fmt: skip
    rows["sensors_60s"], rows["sensors_5min"] = window, window
    rows["last_values"] = [
        json.dumps({"Tool": {"text": f"T{n % 4}", "age_s": 5.0, "value": None},
                    "GoodCount": {"text": None, "age_s": 1.0, "value": float(n)}})
        for n in range(count)
    ]  # fmt: skip
    return rows, cause, rows["production_date"].to_numpy(dtype=object)
