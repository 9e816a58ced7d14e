"""Which samples go to the cloud.

Belongs here: what is never dropped, dead-bands, the sample as it is written. Does not belong here: keeping and sending
(`outbox`, `forwarder`).

What a machine's state, faults, alarms and counters say is never dropped; a value that only repeats the one before is
sent again after `repeat_after_s`, so that the far side can tell a tag that stands from one that is gone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from prodlytics.formats.sample import UNCERTAIN_QUALITY
from prodlytics.plant.model import Plant

if TYPE_CHECKING:
    import pandas as pd

#: A text longer than this is cut: the hub takes no message over 256 KB.
TEXT_LIMIT = 2_000


class Kind(IntEnum):
    """How a tag is treated."""

    URGENT = 0
    "State, fault, alarm: every change, within seconds."
    KEPT = 1
    "Counters: every change."
    REST = 2
    "Everything else: what leaves its dead-band."


@dataclass(frozen=True, slots=True)
class Chosen:
    """A sample to forward: its kind and its JSON without the opening brace, which the sequence is put before.

    `since_us` is when it got to us (microseconds since 1970), from which its patience counts; None for now.
    """

    kind: Kind
    body: str
    since_us: int | None = None


@dataclass(frozen=True, slots=True)
class _Last:
    time_us: int
    value: float
    text: str | None
    quality: int


class Choice:
    """Chooses among samples in the order of their arrival; remembers what each tag said last."""

    def __init__(self, plant: Plant) -> None:
        self._cloud = plant.cloud
        self._kinds = kinds(plant)
        self._last: dict[tuple[str, str, str], _Last] = {}
        self._proposed: dict[tuple[str, str, str], _Last] = {}

    def keep(self) -> None:
        """What was chosen is on the disk: from now on it is what the next samples are compared with."""
        self._last.update(self._proposed)
        self._proposed.clear()

    def take_back(self) -> None:
        """What was chosen since `keep` is not kept by anybody: it is chosen again when it is offered again."""
        self._proposed.clear()

    def of(self, batch: pd.DataFrame, since_us: int | None = None) -> list[Chosen]:
        """The samples of a batch (columns of `formats.sample`) that are to be forwarded; `since_us` as in `Chosen`."""
        chosen = []
        for time_us, machine, metric, code, value, text, quality in zip(
            batch["time"].to_numpy(dtype="datetime64[us]").astype("int64").tolist(),
            batch["machine_id"].tolist(), batch["metric_name"].tolist(), batch["native_code"].tolist(),
            batch["value"].tolist(), batch["value_text"].tolist(), batch["quality"].tolist(),
            strict=True,
        ):  # fmt: skip
            said = _Last(time_us, value, text if isinstance(text, str) else None, quality)
            kind = self._kinds.get((machine, metric), Kind.REST)
            tag = (machine, metric, code)
            last = self._proposed.get(tag) or self._last.get(tag)
            if last is None or self._is_news(kind, metric, last, said):
                # What comes late does not become what the next one is compared with.
                if last is None or said.time_us >= last.time_us:
                    self._proposed[tag] = said
                body = written(machine, metric, code, said.time_us, value, said.text, quality)
                chosen.append(Chosen(kind, body, since_us))
        return chosen

    def _is_news(self, kind: Kind, metric: str, last: _Last, said: _Last) -> bool:
        if said.text != last.text or (said.quality < UNCERTAIN_QUALITY) != (last.quality < UNCERTAIN_QUALITY):
            return True
        if said.time_us - last.time_us >= self._cloud.repeat_after_s * 1e6:
            return True
        if kind is not Kind.REST:
            # Late: even an equal value says something else, that it was so earlier already.
            return said.time_us < last.time_us or not _same(said.value, last.value)
        band = self._cloud.dead_bands.get(metric, 0.0)
        return not _same(said.value, last.value) and not abs(said.value - last.value) <= band


def kinds(plant: Plant) -> dict[tuple[str, str], Kind]:
    """Machine and metric to kind, for those that are never dropped."""
    found: dict[tuple[str, str], Kind] = {}
    for machine in plant.machines:
        for counter in machine.counters:
            found[machine.id, counter.metric] = Kind.KEPT
        state = machine.state
        own = [state.metric, state.duration_metric] if state.source == "telemetry" else []
        for metric in (*own, machine.fault_metric, *machine.alarm_metrics):
            if metric is not None:
                found[machine.id, metric] = Kind.URGENT
    return found


def written(machine: str, metric: str, code: str, time_us: int, value: float, text: str | None, quality: int) -> str:
    """A sample as the far side reads it, without its opening brace and sequence."""
    fields: dict[str, object] = {"machine": machine, "metric": metric}
    if code:
        fields["code"] = code
    fields["time_us"] = time_us
    if text is None:
        fields["value"] = None if value != value else int(value) if value == int(value) else value
    else:
        fields["text"] = text[:TEXT_LIMIT]
    fields["quality"] = int(quality)
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False)[1:]


def _same(one: float, other: float) -> bool:
    return one == other or (one != one and other != other)
