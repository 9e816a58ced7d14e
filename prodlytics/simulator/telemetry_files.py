"""Telemetry as landed files.

Belongs here: Parquet tables and KEPServerEX messages from series, written whole or not at all. Does not belong here:
what is in the series.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from prodlytics.plant.model import Plant
from prodlytics.simulator.cycles import Ints
from prodlytics.simulator.mishaps import Oddity, sent_name
from prodlytics.simulator.series import Series

ROWS_PER_GROUP = 65_536
SAMPLES_PER_MESSAGE = 100
GOOD = 192


def put(path: Path, content: bytes) -> None:
    """Write a file under its final name only once it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.tmp")
    part.write_bytes(content)
    part.replace(path)


class TelemetryFiles:
    """Writes series to files, a span of time each."""

    def __init__(self, plant: Plant, series: Sequence[Series], end: int, seed: tuple[int, ...]) -> None:
        """Sort the series by machine name and metric, and draw how long each sample was under way."""
        self.names = {machine.id: sent_name(plant, machine.id) for machine in plant.machines}
        self.series = sorted(series, key=lambda one: (self.names[one.machine], one.metric))
        self.end = end
        rng = np.random.default_rng(seed)
        self.lags = [rng.integers(150, 1_500, len(one.time), dtype=np.int16) for one in self.series]
        self.machines = sorted({*self.names.values()})
        self.metrics = sorted({one.metric for one in self.series})

    def slices(self, begin: int, end: int) -> list[tuple[Series, Ints]]:
        """The series in [begin, end) with the time at which each sample was sent."""
        found = []
        for one, lag in zip(self.series, self.lags, strict=True):
            first, last = np.searchsorted(one.time, [begin, end])
            if last > first:
                part = one.picked(slice(int(first), int(last)))
                found.append((part, np.minimum(part.time + lag[first:last], self.end)))
        return found

    def table(self, path: Path, begin: int, end: int, odd: Sequence[Oddity] = (), sent_at: int | None = None) -> int:
        """A Parquet table of [begin, end), the odd rows at its end; returns the number of rows.

        `sent_at` is when all of it was sent, for what arrives late.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        parts = self.slices(begin, end)
        sizes = [len(one.time) for one, _ in parts]
        time = np.concatenate([*(one.time for one, _ in parts), _of(odd, "time")]).astype(np.int64)
        sent = np.concatenate([*(sent for _, sent in parts), _of(odd, "time") + _of(odd, "published_lag")])
        sent = sent.astype(np.int64) if sent_at is None else np.full(len(time), sent_at, dtype=np.int64)
        value = np.concatenate([*(one.value for one, _ in parts), [row.value for row in odd]])
        text = np.full(len(time), None, dtype=object)
        at = 0
        for one, _ in parts:
            if one.text is not None:
                text[at : at + len(one.time)] = one.text
            at += len(one.time)
        quality = np.concatenate([np.full(at, GOOD), _of(odd, "quality")]).astype(np.int16)
        machine = _coded([self.names[one.machine] for one, _ in parts], sizes, [row.machine for row in odd])
        metric = _coded([one.metric for one, _ in parts], sizes, [row.metric for row in odd])
        # A text has no number: null, not NaN. NaN in a table is a measurement that failed.
        absent = np.array([item is not None for item in text])
        stamp = pa.timestamp("us", "UTC")
        table = pa.table(
            {
                "time": pa.array(time * 1_000, stamp),
                "published_at": pa.array(sent * 1_000, stamp),
                "machine": machine,
                "metric": metric,
                "value": pa.array(value, pa.float64(), mask=absent, from_pandas=False),
                "value_text": pa.array(text, pa.string()),
                "quality": pa.array(quality, pa.int16()),
            }
        )
        sink = pa.BufferOutputStream()
        pq.write_table(
            table, sink, row_group_size=ROWS_PER_GROUP, compression="zstd", compression_level=1,
            use_dictionary=["machine", "metric", "value_text", "quality"],
        )  # fmt: skip
        put(path, sink.getvalue().to_pybytes())
        return len(time)

    def messages(self, path: Path, begin: int, end: int, odd: Sequence[Oddity] = ()) -> int:
        """KEPServerEX messages of [begin, end), one a line, in order of time; returns the number of samples."""
        parts = self.slices(begin, end)
        samples: list[str] = []
        for one, _ in parts:
            lead = f'{{"id":"{self.names[one.machine]}.{one.metric}","v":'
            samples += [
                f'{lead}{value},"q":true,"t":{time}}}'
                for value, time in zip(_json_values(one), one.time.tolist(), strict=True)
            ]
        time = np.concatenate([np.zeros(0, dtype=np.int64), *(one.time for one, _ in parts)])
        order = np.argsort(time, kind="stable")
        lines = [samples[i] for i in order]
        lines += [_odd_sample(row) for row in odd]
        times = [*time[order].tolist(), *([int(time.max())] * len(odd))]
        messages = []
        for first in range(0, len(lines), SAMPLES_PER_MESSAGE):
            values = ",".join(lines[first : first + SAMPLES_PER_MESSAGE])
            sent = min(times[min(first + SAMPLES_PER_MESSAGE, len(lines)) - 1] + 350, self.end)
            messages.append(f'{{"timestamp":{sent},"values":[{values}]}}\n')
        put(path, "".join(messages).encode())
        return len(lines)


def _of(odd: Sequence[Oddity], name: str) -> Ints:
    return np.array([getattr(row, name) for row in odd], dtype=np.int64)


def _coded(names: list[str], sizes: list[int], more: list[str]) -> object:
    """A text column that says each name `sizes` times and then the odd ones, as an Arrow dictionary."""
    import pyarrow as pa

    words = sorted({*names, *more})
    place = {word: code for code, word in enumerate(words)}
    codes = np.concatenate(
        [
            np.repeat(np.array([place[name] for name in names], dtype=np.int32), sizes),
            np.array([place[name] for name in more], dtype=np.int32),
        ]
    )
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(words, pa.string()))


def _json_values(series: Series) -> list[object]:
    if series.text is not None:
        return [f'"{text}"' for text in series.text]
    whole = bool(np.all(series.value == np.rint(series.value)))
    return list((series.value.astype(np.int64) if whole else series.value).tolist())


def _odd_sample(row: Oddity) -> str:
    value = '"NaN"' if np.isnan(row.value) else str(row.value)
    good = "true" if row.quality >= GOOD else "false"
    return f'{{"id":"{row.machine}.{row.metric}","v":{value},"q":{good},"t":{row.time}}}'
