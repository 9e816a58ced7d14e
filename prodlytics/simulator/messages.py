"""Samples as messages of the formats the bridge reads.

Belongs here: topic and payload of the JSON formats. Does not belong here: Sparkplug B, which has sessions
(`sparkplug.py`), sending (`publish.py`), which samples there are (`live.py`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from prodlytics.plant.model import Feed, Plant
from prodlytics.simulator.live import Sample
from prodlytics.simulator.mishaps import sent_name

Format = Literal["kepserverex", "kepserverex-single", "plain", "sparkplug"]
FORMATS: tuple[Format, ...] = get_args(Format)
#: What the gateway of KEPServerEX puts into one message.
SAMPLES_PER_MESSAGE = 100
#: Machine and metric.
Tag = tuple[str, str]


class NoFeedError(Exception):
    """The plant reads no topic to which this format could be sent; one sentence for people."""


@dataclass(frozen=True)
class Message:
    """A message.

    Attributes:
        topic: Its topic.
        payload: Its payload.
        samples: The samples it holds.
        qos: Quality of service.
        birth: Whether others cannot be read without it: nothing befalls it on purpose.
    """

    topic: str
    payload: bytes
    samples: tuple[Sample, ...] = ()
    qos: int = 1
    birth: bool = False


class Writer:
    """Writes samples of a plant in a format."""

    def __init__(self, plant: Plant, form: Format) -> None:
        """Find the feed.

        Raises:
            NoFeedError: No feed of the plant reads this format.
        """
        self.per_message = SAMPLES_PER_MESSAGE if form == "kepserverex" else 1
        self._form = form
        self._names = {machine.id: sent_name(plant, machine.id) for machine in plant.machines}
        self._feed = feed_of(plant, "plain" if form == "plain" else "kepserverex")
        self._fields = {name: self._feed.fields.get(name, usual) for name, usual in _KEPSERVEREX.items()}

    def write(self, samples: Sequence[Sample], now_ms: int) -> list[Message]:
        """The message of at most `per_message` samples, sent at `now_ms` (milliseconds since 1970 UTC)."""
        if self._form == "plain":
            (one,) = samples
            said = {"value": one.value if one.text is None else one.text, "timestamp_ms": one.time_ms}
            return [Message(self._plain_topic(one), _json(said), (one,))]
        records = [self._record(one) for one in samples]
        if self._form == "kepserverex-single":
            return [Message(self._topic, _json(records[0]), tuple(samples))]
        whole = {self._fields["published_at"]: now_ms, self._fields["values"]: records}
        return [Message(self._topic, _json(whole), tuple(samples))]

    def numbered(self, message: Message) -> Message:
        """The message as it leaves: these formats do not count theirs."""
        return message

    def unknown_machine(self, now_ms: int) -> Message:
        """A sample of a machine nobody configured."""
        stranger = Sample(now_ms, "", "Speed_RPM", 1.0)
        if self._form == "plain":
            return Message(self._plain_topic(stranger, "Nobody.Knows.Me"), b"1")
        return Message(self._topic, _json({**self._record(stranger), self._fields["id"]: "Nobody.Knows.Me"}))

    @property
    def _topic(self) -> str:
        return self._feed.topic.replace("+", "live").replace("#", "live")

    def _record(self, one: Sample) -> dict[str, object]:
        names = self._fields
        value = one.text if one.text is not None else int(one.value) if one.value == int(one.value) else one.value
        name = f"{self._names.get(one.machine, one.machine)}.{one.metric}"
        return {names["id"]: name, names["value"]: value, names["quality"]: True, names["time"]: one.time_ms}

    def _plain_topic(self, one: Sample, name: str | None = None) -> str:
        """The pattern's places in braces filled from the name's end, where the tag stands."""
        parts = (name or f"{self._names[one.machine]}.{one.metric}").split(".")
        levels = self._feed.topic.split("/")
        places = [n for n, level in enumerate(levels) if level.startswith("{")]
        head = len(parts) - len(places) + 1
        if head < 1:
            raise NoFeedError(f"{'.'.join(parts)} has too few parts for the topic {self._feed.topic}.")
        filled = [".".join(parts[:head]), *parts[head:]]
        for place, part in zip(places, filled, strict=True):
            levels[place] = part
        return "/".join(levels)


_KEPSERVEREX = {
    "id": "id", "value": "v", "quality": "q", "time": "t", "values": "values", "published_at": "timestamp",
}  # fmt: skip


def feed_of(plant: Plant, form: str) -> Feed:
    """The first feed of the plant that reads a format.

    Raises:
        NoFeedError: There is none.
    """
    for feed in plant.feeds:
        if feed.format == form:
            return feed
    raise NoFeedError(
        f"The plant file has no feed of format {form}: write one under `feeds`, or choose another format."
    )


def _json(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()
