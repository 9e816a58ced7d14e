from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from prodlytics.plant.load import load_plant
from prodlytics.plant.model import Plant
from prodlytics.simulator.history import SimulationReport, simulate
from prodlytics.simulator.truth import Truth, load_truth

DEMO = Path(__file__).parents[2] / "deploy" / "plants" / "demo.yaml"
END = dt.datetime(2026, 11, 24, 0, 50, tzinfo=dt.UTC)  # a Monday evening in the plant


@dataclass
class Told:
    """A simulated history, its files read without any code of the simulator."""

    plant: Plant
    folder: Path
    report: SimulationReport
    truth: Truth
    rows: pd.DataFrame
    "All telemetry rows as sent: time, published_at, machine, metric, value, value_text, quality, file."

    @cached_property
    def samples(self) -> pd.DataFrame:
        """The rows that mean something, with our machine ids; of two rows for one instant the one sent last."""
        ids = {name: m.id for m in self.plant.machines for name in m.aliases}
        rows = self.rows.assign(machine_id=self.rows["machine"].map(ids).astype("category"))
        fit = rows["machine_id"].notna() & (rows["quality"] >= 192) & (rows["time"] <= pd.Timestamp(self.report.end))
        fit &= rows["value"].notna() | (rows["value_text"].notna() & (rows["value_text"] != "NaN"))
        kept = rows[fit].sort_values(["machine_id", "metric", "time", "published_at"], ignore_index=True)
        return kept.drop_duplicates(["machine_id", "metric", "time"], keep="last", ignore_index=True)

    @cached_property
    def tags(self) -> dict[tuple[str, str], pd.DataFrame]:
        """The samples by machine and metric."""
        return dict(iter(self.samples.groupby(["machine_id", "metric"], observed=True)))

    def tag(self, machine_id: str, metric: str) -> pd.DataFrame:
        """The samples of one tag in order of time."""
        return self.tags[machine_id, metric]

    def trouble(self, kind: str) -> dict[str, str]:
        """The first trouble of a kind."""
        return next(t for t in self.truth.troubles if t["kind"] == kind)

    def entries(self) -> list[dict[str, str]]:
        """All rows of the operator entry files."""
        return [row for path in sorted(self.folder.glob("landing/operator_entries/*.csv")) for row in read_csv(path)]


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _parquet(path: Path) -> pd.DataFrame:
    return pq.read_table(path).to_pandas().assign(file=path.name)


def _messages(path: Path) -> pd.DataFrame:
    def samples() -> Iterator[tuple[object, ...]]:
        for line in path.read_text().splitlines():
            message = json.loads(line)
            for sample in message["values"]:
                machine, _, metric = sample["id"].rpartition(".")
                value = sample["v"]
                number, text = (np.nan, value) if isinstance(value, str) else (float(value), None)
                quality = 192 if sample["q"] else 0
                yield sample["t"], message["timestamp"], machine, metric, number, text, quality

    columns = ["time", "published_at", "machine", "metric", "value", "value_text", "quality"]
    frame = pd.DataFrame(list(samples()), columns=columns)
    for name in ("time", "published_at"):
        frame[name] = pd.to_datetime(frame[name], unit="ms", utc=True).astype("datetime64[us, UTC]")
    return frame.assign(file=path.name)


def tell(folder: Path, days: int) -> Told:
    plant = load_plant(DEMO)
    report = simulate(plant, folder / "landing", folder / "truth", end=END, days=days)
    files = sorted((folder / "landing" / "telemetry").iterdir())
    parts = [_parquet(f) if f.suffix == ".parquet" else _messages(f) for f in files]
    names = ("machine", "metric", "file")
    categories = {n: pd.CategoricalDtype(sorted({str(v) for part in parts for v in part[n].unique()})) for n in names}
    rows = pd.concat([part.astype(categories) for part in parts], ignore_index=True)
    return Told(plant, folder, report, load_truth(folder / "truth"), rows)


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Forty-five days of the demo plant."""
    return tell(tmp_path_factory.mktemp("history"), 45)
