"""One machine and what was heard of it, to write down by hand; seconds from 06:00 in Chicago."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any

import pandas as pd

from prodlytics.kpi.derived import Derived
from prodlytics.kpi.machine_states import derive_machine_states
from prodlytics.kpi.production_events import derive_production_events
from prodlytics.plant.model import Plant
from prodlytics_tests.kpi.floor import SETTINGS, SIX

AS_OF = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)
SAMPLE_COLUMNS = ["time", "metric_name", "native_code", "value", "value_text", "quality"]
ENTRY_COLUMNS = (
    "source_key machine_id kind starts_at ends_at reason_code quantity reject_quantity rework_quantity part_number"
    " work_order scrap_category scrap_reason note undoes entered_by entered_at source"
)


def at(seconds: float) -> dt.datetime:
    """Whole microseconds after six."""
    return SIX + dt.timedelta(microseconds=round(seconds * 1e6))


def plant_of(parts: Sequence[dict[str, Any]] = (), **machine: Any) -> Plant:
    """A plant with one machine M1 that has only what is given."""
    settings = deepcopy(SETTINGS)
    settings["parts"] = list(parts)
    settings["machines"] = [{"id": "M1", "name": "One", "line": "L1", "state": {"map": {"1": "running"}}, **machine}]
    return Plant.model_validate(settings)


def counter_plant(ideal_s: float | None = None, counts: str = "good", **counter: Any) -> Plant:
    """A plant whose machine has one counter `Count`, with an ideal cycle in seconds or none."""
    ideal = {} if ideal_s is None else {"ideal_cycle_time_ms": ideal_s * 1000}
    return plant_of(counters=[{"metric": "Count", "counts": counts, **counter}], **ideal)


def heard(metric: str, readings: Iterable[tuple[float, Any]], quality: int = 192, code: str = "") -> pd.DataFrame:
    """Samples of one tag: seconds and a number, a text, or None."""
    rows = [
        (at(second), metric, code, *((None, said) if isinstance(said, str) else (said, None)), quality)
        for second, said in readings
    ]
    return _samples(rows)


def together(*frames: pd.DataFrame) -> pd.DataFrame:
    """Samples of several tags in order of time, as they are read from the database."""
    full = [frame for frame in frames if len(frame)]
    if not full:
        return _samples([])
    return pd.concat(full).sort_values("time", kind="stable").reset_index(drop=True)


def _samples(rows: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=SAMPLE_COLUMNS)
    frame["time"] = pd.to_datetime(frame["time"], utc=True).astype("datetime64[us, UTC]")
    return frame.astype({"value": "float64", "quality": "int16"})


def spans_of(rows: Iterable[tuple[float, float | None]]) -> pd.DataFrame:
    """Silences: from and to in seconds, None for still silent."""
    pairs = list(rows)
    return pd.DataFrame(
        {
            "starts_at": pd.to_datetime([at(a) for a, _ in pairs], utc=True).astype("datetime64[us, UTC]"),
            "ends_at": pd.to_datetime([None if b is None else at(b) for _, b in pairs], utc=True).astype(
                "datetime64[us, UTC]"
            ),
        }
    )


def orders_of(rows: Iterable[tuple[str, str, float, float | None]]) -> pd.DataFrame:
    """Work orders: order, part, from and to in seconds."""
    listed = list(rows)
    times = spans_of((row[2], row[3]) for row in listed)
    return pd.DataFrame(
        {
            "work_order": pd.Series([row[0] for row in listed], dtype=object),
            "part_number": pd.Series([row[1] for row in listed], dtype=object),
            "started_at": times["starts_at"],
            "ended_at": times["ends_at"],
        }
    )


def entries_of(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Operator entries; `starts_at` and `ends_at` in seconds."""
    listed = [{"kind": "production", "entered_by": "op1", "source": "operator", **row} for row in rows]
    frame = pd.DataFrame(listed, columns=ENTRY_COLUMNS.split()).astype(object)
    frame["source_key"] = [f"entry {number}" for number in range(len(listed))]
    for column in ("starts_at", "ends_at"):
        times = [None if second is None or pd.isna(second) else at(second) for second in frame[column]]
        frame[column] = pd.to_datetime(times, utc=True).astype("datetime64[us, UTC]")
    return frame.where(frame.notna(), None)


def events(
    plant: Plant,
    samples: pd.DataFrame,
    *,
    window: tuple[float, float] = (-10_000_000, 10_000_000),
    orders: pd.DataFrame | None = None,
    entries: pd.DataFrame | None = None,
    gaps: pd.DataFrame | None = None,
) -> Derived:
    """Production events of M1 in a window of seconds; without `gaps`, the feed was never silent."""
    return derive_production_events(
        plant,
        plant.machine("M1"),
        samples,
        orders_of([]) if orders is None else orders,
        entries_of([]) if entries is None else entries,
        at(window[0]),
        at(window[1]),
        AS_OF,
        spans_of([]) if gaps is None else gaps,
    )


def states(
    plant: Plant,
    samples: pd.DataFrame,
    window: tuple[float, float],
    *,
    until: float | None = None,
    entries: pd.DataFrame | None = None,
    gaps: pd.DataFrame | None = None,
    as_of: float | None = None,
) -> Derived:
    """Machine states of M1 in a window of seconds, told to its end or to `until`; `as_of` also in seconds."""
    return derive_machine_states(
        plant,
        plant.machine("M1"),
        samples,
        spans_of([]) if gaps is None else gaps,
        entries_of([]) if entries is None else entries,
        at(window[0]),
        at(window[1]),
        at(window[1] if until is None else until),
        AS_OF if as_of is None else at(as_of),
    )


def seconds(times: pd.Series) -> list[float]:
    """Seconds after six."""
    return [(time - SIX).total_seconds() for time in times]


def told(derived: Derived) -> list[tuple[float, float, str]]:
    """From, to, state of each row."""
    rows = derived.rows
    return list(zip(seconds(rows["starts_at"]), seconds(rows["ends_at"]), rows["state"], strict=True))


def counted(derived: Derived) -> list[tuple[float, str, float, str | None]]:
    """Second, event, parts, flag of each event that counts parts."""
    rows = derived.rows[derived.rows["event_type"] != "alarm"]
    parts = rows["good_count"] + rows["reject_count"] + rows["rework_count"]
    return list(zip(seconds(rows["time"]), rows["event_type"], parts, rows["flag"], strict=True))
