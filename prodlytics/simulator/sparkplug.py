"""The plant as an edge node of Sparkplug B: births that name metrics, data that only number them, a death as its will.

Belongs here: payloads, aliases, sessions and sequence numbers of one node. Does not belong here: the connection
(`publish.py`), which samples there are (`live.py`), reading such payloads (`formats`).

The machines are the node's devices. A device is born as soon as it has said something, and anew when it says something
it never said before. Aliases stay with their tags for as long as the simulation runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from prodlytics.formats import sparkplug_b_pb2 as wire
from prodlytics.formats.sparkplug_session import NAMESPACE, SEQUENCES
from prodlytics.plant.model import Feed, Plant
from prodlytics.simulator.live import Sample
from prodlytics.simulator.messages import SAMPLES_PER_MESSAGE, Message, Tag
from prodlytics.simulator.mishaps import sent_name

#: Name of the edge node.
EDGE = "Simulator"
_INT32, _INT64, _DOUBLE, _BOOLEAN, _STRING = 3, 4, 10, 11, 12
_REBIRTH = b"Node Control/Rebirth"
_STRANGER = "Nobody.Knows.Me"


class EdgeNode:
    """Writes samples as one edge node says them."""

    per_message = SAMPLES_PER_MESSAGE

    def __init__(self, plant: Plant, feed: Feed) -> None:
        """Take the group from the feed's topic, or the plant's id where that hears every group."""
        group = [*feed.topic.split("/"), "+"][1]
        self._group = plant.plant if group in ("+", "#") else group
        self._names = {machine.id: sent_name(plant, machine.id) for machine in plant.machines}
        self._types = {
            (machine.id, metric): kind
            for machine in plant.machines
            for kind, metrics in ((_INT64, [c.metric for c in machine.counters]), (_INT32, [machine.state.metric]))
            for metric in metrics
        }
        self._aliases: dict[Tag, int] = {}
        self._announced: dict[str, dict[Tag, Sample]] = {}
        self._session = -1
        self._seq = 0

    @property
    def commands(self) -> str:
        """Where hosts tell the node what to do."""
        return self._topic("NCMD")

    def is_rebirth(self, payload: bytes) -> bool:
        """Whether a command asks for the births."""
        try:
            metrics = wire.Payload.FromString(payload).metrics
        except ValueError:
            return False
        return any(metric.name == _REBIRTH and metric.boolean_value for metric in metrics)

    def connects(self, now_ms: int) -> Message:
        """A new session begins: the death that the broker shall publish when its connection is lost."""
        self._session += 1
        return self.death(now_ms)

    def death(self, now_ms: int) -> Message:
        """The end of the session, also as the node itself says it before it hangs up."""
        return Message(
            self._topic("NDEATH"), wire.Payload(timestamp=now_ms, metrics=[self._bd_seq()]).SerializeToString()
        )

    def births(self, last: Mapping[Tag, Sample], now_ms: int) -> list[Message]:
        """The birth of the node and of its devices with what they said last."""
        self._seq = 0
        rebirth = wire.Metric(name=_REBIRTH, datatype=_BOOLEAN, boolean_value=False)
        payload = wire.Payload(timestamp=now_ms, metrics=[self._bd_seq(), rebirth])
        self._announced = {}
        for tag, one in last.items():
            self._announced.setdefault(tag[0], {})[tag] = one
        node = Message(self._topic("NBIRTH"), payload.SerializeToString(), qos=0, birth=True)
        return [node, *(self._device(machine, now_ms) for machine in self._announced)]

    def write(self, samples: Sequence[Sample], now_ms: int) -> list[Message]:
        """Messages of each device: its birth if something is new, and the data."""
        messages = []
        for machine in dict.fromkeys(one.machine for one in samples):
            known = self._announced.setdefault(machine, {})
            fresh: dict[Tag, Sample] = {}
            rest: list[Sample] = []
            for one in samples:
                if one.machine != machine:
                    continue
                tag = (machine, one.metric)
                if tag in known or tag in fresh:
                    rest.append(one)
                else:
                    fresh[tag] = one
            if fresh:
                known.update(fresh)
                messages.append(self._device(machine, now_ms))
            if rest:
                topic = self._topic("DDATA", self._names[machine])
                messages.append(Message(topic, self._payload(rest, now_ms, named=False), tuple(rest), qos=0))
                # What a birth repeats is what was said last.
                known.update({(machine, one.metric): one for one in rest})
        return messages

    def numbered(self, message: Message) -> Message:
        """The message as it leaves now: the sequence number is the next one, a field like any other at its end."""
        number = wire.Payload(seq=self._seq).SerializeToString()
        self._seq = (self._seq + 1) % SEQUENCES
        return Message(message.topic, message.payload + number, message.samples, message.qos, message.birth)

    def unknown_machine(self, now_ms: int) -> Message:
        """The birth of a machine nobody configured."""
        stranger = Sample(now_ms, _STRANGER, "Speed_RPM", 1.0)
        return Message(self._topic("DBIRTH", _STRANGER), self._payload([stranger], now_ms, named=True), qos=0)

    def _device(self, machine: str, now_ms: int) -> Message:
        said = tuple(self._announced[machine].values())
        topic = self._topic("DBIRTH", self._names[machine])
        return Message(topic, self._payload(said, now_ms, named=True), said, qos=0, birth=True)

    def _payload(self, samples: Iterable[Sample], now_ms: int, *, named: bool) -> bytes:
        metrics = [self._metric(one, named=named) for one in samples]
        return wire.Payload(timestamp=now_ms, metrics=metrics).SerializeToString()

    def _metric(self, one: Sample, *, named: bool) -> wire.Metric:
        tag = (one.machine, one.metric)
        metric = wire.Metric(alias=self._aliases.setdefault(tag, len(self._aliases)), timestamp=one.time_ms)
        datatype = _STRING if one.text is not None else self._types.get(tag, _DOUBLE)
        if named:
            metric.name, metric.datatype = one.metric.encode(), datatype
        if one.text is not None:
            metric.string_value = one.text.encode()
        elif datatype == _DOUBLE:
            metric.double_value = one.value
        elif datatype == _INT32:
            metric.int_value = int(one.value) % 2**32
        else:
            metric.long_value = int(one.value) % 2**64
        return metric

    def _bd_seq(self) -> wire.Metric:
        return wire.Metric(name=b"bdSeq", datatype=_INT64, long_value=self._session % SEQUENCES)

    def _topic(self, kind: str, device: str = "") -> str:
        return "/".join([NAMESPACE, self._group, kind, EDGE, *([device] if device else [])])
