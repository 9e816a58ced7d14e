"""What really happened, for tests and demonstrations; the product never reads it.

Belongs here: the truth's form on disk, writing and loading it. Does not belong here: making it up.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prodlytics.plant.model import Plant
from prodlytics.simulator.catalogue import HOUR_MS
from prodlytics.simulator.cycles import Cycles
from prodlytics.simulator.paperwork import order_name
from prodlytics.simulator.story import Trouble
from prodlytics.simulator.telemetry_files import put
from prodlytics.simulator.timeline import Timeline

FRAMES = ("states", "production", "tool_changes", "omens")


@dataclass(frozen=True)
class Truth:
    """The whole truth; times in frames are datetime64[us, UTC].

    Attributes:
        seed: The story's.
        start: First instant (ISO 8601, UTC).
        end: First instant after.
        telemetry_rows: Samples in all telemetry files, wrong ones included.
        odd_rows: Rows that are not simply stored, by what is wrong with them: unknown_machine, not_a_number and
            future_time are set aside; of each conflict the sample sent first is set aside; duplicate rows are dropped;
            bad_quality rows are stored with their quality and never counted.
        troubles: What the story did on purpose: kind, machine, starts_at, ends_at, detail.
        states: machine_id, starts_at, ends_at, state, reason_code, fault_code, work_order, part_number.
        production: machine_id, hour (UTC), work_order, part_number, good, reject.
        tool_changes: machine_id, time, tool_id.
        omens: machine_id, signal, starts_at, ends_at, real (False: it drifted, and nothing broke).
    """

    seed: int
    start: str
    end: str
    telemetry_rows: int
    odd_rows: dict[str, int]
    troubles: list[dict[str, str]]
    states: pd.DataFrame = field(repr=False)
    production: pd.DataFrame = field(repr=False)
    tool_changes: pd.DataFrame = field(repr=False)
    omens: pd.DataFrame = field(repr=False)


def load_truth(folder: Path) -> Truth:
    """Read what `save` wrote.

    Raises:
        FileNotFoundError: There is no truth in that folder.
    """
    facts: dict[str, Any] = json.loads((folder / "truth.json").read_text())
    frames: dict[str, Any] = {name: pd.read_parquet(folder / f"{name}.parquet") for name in FRAMES}
    return Truth(**facts, **frames)


def save(folder: Path, truth: Truth) -> None:
    """Write the truth: frames as Parquet, the rest as JSON, which comes last and so marks it whole."""
    for name in FRAMES:
        put(folder / f"{name}.parquet", getattr(truth, name).to_parquet(None, index=False))
    facts = {entry.name: getattr(truth, entry.name) for entry in fields(truth) if entry.name not in FRAMES}
    put(folder / "truth.json", (json.dumps(facts, indent=1, sort_keys=True) + "\n").encode())


def utc(milliseconds: Sequence[int] | np.ndarray) -> pd.Series:
    """Milliseconds since 1970 as datetime64[us, UTC]."""
    return pd.Series(np.asarray(milliseconds, dtype=np.int64) * 1_000).astype("datetime64[us]").dt.tz_localize("UTC")


def iso(at: int) -> str:
    """An instant as text."""
    return pd.Timestamp(at, unit="ms", tz="UTC").isoformat()


def troubles_of(found: Sequence[Trouble]) -> list[dict[str, str]]:
    """Troubles with their times as text, in order of time."""
    return [
        {"kind": t.kind, "machine": t.machine, "starts_at": iso(t.begin), "ends_at": iso(t.end), "detail": t.detail}
        for t in sorted(found, key=lambda t: (t.begin, t.kind, t.machine))
    ]


def state_frame(plant: Plant, timelines: Sequence[Timeline]) -> pd.DataFrame:
    """True states, equal neighbours joined."""
    rows: list[list[object]] = []
    for index, timeline in enumerate(timelines):
        for s in timeline.stretches:
            part = timeline.orders[s.order].part
            what = [
                timeline.machine.id, s.state, s.reason, str(s.fault) if s.fault else None,
                order_name(index, s.order), part.number if part else None,
            ]  # fmt: skip
            if rows and rows[-1][2:] == what and rows[-1][1] == s.begin:
                rows[-1][1] = s.end
            else:
                rows.append([s.begin, s.end, *what])
    columns = ["starts_at", "ends_at", "machine_id", "state", "reason_code", "fault_code", "work_order", "part_number"]
    frame = pd.DataFrame(rows, columns=columns)
    frame["starts_at"], frame["ends_at"] = utc(frame["starts_at"].to_numpy()), utc(frame["ends_at"].to_numpy())
    return frame[["machine_id", "starts_at", "ends_at", *columns[3:]]]


def production_frame(timelines: Sequence[Timeline], made: Mapping[str, Cycles]) -> pd.DataFrame:
    """True pieces by machine, hour and order."""
    frames = []
    for index, timeline in enumerate(timelines):
        cycles = made[timeline.machine.id]
        frame = pd.DataFrame(
            {
                "hour": cycles.time // HOUR_MS * HOUR_MS,
                "order": cycles.order,
                "good": (~cycles.reject).astype(np.int64),
                "reject": cycles.reject.astype(np.int64),
            }
        )
        summed = frame.groupby(["hour", "order"], as_index=False).sum()
        parts = [order.part.number if order.part else None for order in timeline.orders]
        frames.append(
            pd.DataFrame(
                {
                    "machine_id": timeline.machine.id,
                    "hour": utc(summed["hour"].to_numpy()),
                    "work_order": [order_name(index, int(order)) for order in summed["order"]],
                    "part_number": [parts[int(order)] for order in summed["order"]],
                    "good": summed["good"],
                    "reject": summed["reject"],
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def event_frame(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> pd.DataFrame:
    """Rows as a frame; columns named time, starts_at or ends_at hold milliseconds and become instants."""
    frame = pd.DataFrame([list(row) for row in rows], columns=list(columns))
    for name in ("time", "starts_at", "ends_at"):
        if name in frame:
            frame[name] = utc(frame[name].to_numpy(dtype=np.int64))
    return frame
