"""Sparkplug B: protobuf payloads whose metrics are named once, in a birth, and numbered from then on.

Belongs here: payloads to samples, by what the births of the sessions said. Does not belong here: the sessions
themselves (`sparkplug_session.py`), which samples are kept (`judge.py`), asking for a birth (the bridge).

A death marks every metric that was announced with a sample of bad quality: nobody knows how it is, it is not zero.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, replace

from google.protobuf.message import DecodeError

from prodlytics.formats import sparkplug_b_pb2 as wire
from prodlytics.formats.judge import FUTURE_SLACK, Rules
from prodlytics.formats.sample import NO_TIME, Parsed, payload_of
from prodlytics.formats.sparkplug_rows import Rows, Unread, Value, quality, value
from prodlytics.formats.sparkplug_session import Born, Known, Node, NodeId, Sessions, Topic, in_order, said_by_host

#: A birth of some ten thousand metrics takes 1 MiB.
PAYLOAD_LIMIT = 64 * 2**20
#: As much of a payload as is kept, so that it can be read again once the birth is known.
_KEPT = 6_000
_COMPRESSED = b"SPBV1.0_COMPRESSED"
_SLACK_US = int(FUTURE_SLACK.total_seconds() * 1_000_000)


@dataclass(frozen=True, slots=True)
class Received:
    """A payload with its topic and the time at which it arrived, in microseconds since 1970 UTC."""

    topic: str
    payload: bytes
    arrived_us: int


@dataclass(frozen=True)
class Reading:
    """What a batch came to.

    Attributes:
        parsed: Samples to store and rows to explain.
        sessions: The sessions after the batch; to be kept when it is stored.
        rebirths: Nodes that have to say their birth again.
    """

    parsed: Parsed
    sessions: Sessions
    rebirths: frozenset[NodeId]


def parse_messages(messages: Iterable[Received], sessions: Sessions, rules: Rules, origin: str) -> Reading:
    """Messages in the order in which they arrived; never raises, whatever the bytes are."""
    reader = _Reader(dict(sessions), Rows(rules))
    for message in messages:
        reader.read(message)
    return Reading(reader.rows.judged(origin), reader.nodes, frozenset(reader.rebirths))


class _Reader:
    """Reads one batch; `sessions` is its own copy."""

    def __init__(self, nodes: dict[NodeId, Node], rows: Rows) -> None:
        self.nodes = nodes
        self.rows = rows
        self.rebirths: set[NodeId] = set()

    def read(self, message: Received) -> None:
        if said_by_host(message.topic):
            return
        topic = Topic.of(message.topic)
        if topic is None:
            self._refuse(message, "unknown_topic", "expected spBv1.0/group/kind/edge, or with a device at its end")
            return
        try:
            payload = _payload(message.payload)
        except Unread as error:
            self._refuse(message, error.reason, error.detail)
            return
        if topic.kind == "NDEATH":
            self._node_death(topic, payload, message)
        elif topic.kind == "NBIRTH":
            self._node_birth(topic, payload, message)
        else:
            self._of_session(topic, payload, message)

    def _refuse(self, message: Received, reason: str, detail: str, sent_us: int = NO_TIME) -> None:
        self.rows.refuse(_kept(message), reason, detail, sent_us)

    def _node_birth(self, topic: Topic, payload: wire.Payload, message: Received) -> None:
        if not payload.metrics:
            self._refuse(message, "unknown_shape", "a birth without metrics", _sent_us(payload))
            return
        seq = payload.seq if payload.HasField("seq") else None
        self.nodes[topic.node] = Node(
            announced=True,
            bd_seq=_bd_seq(payload),
            next_seq=None if seq is None else (seq + 1) % 256,
            sent_us=max(0, _sent_us(payload)),
        )
        self._birth(topic, payload, message)

    def _of_session(self, topic: Topic, payload: wire.Payload, message: Received) -> None:
        """Everything that is numbered within a session."""
        sent_us = _sent_us(payload)
        before = self.nodes.get(topic.node, Node())
        order = in_order(before, payload.seq if payload.HasField("seq") else None, sent_us)
        if topic.node in self.nodes or topic.kind == "DBIRTH":
            self.nodes[topic.node] = order.node
        if order.missing:
            self.rebirths.add(topic.node)
            self._refuse(message, "sequence_gap", _gap(before, payload.seq, order.missing, order.in_doubt), sent_us)
        if topic.kind == "DBIRTH":
            self._birth(topic, payload, message)
        elif topic.kind == "DDEATH":
            self._device_death(topic, sent_us if sent_us != NO_TIME else message.arrived_us)
        else:
            self._data(topic, payload, message, repeated=order.repeated)
        if topic.node in self.nodes and not self.nodes[topic.node].announced:
            self.rebirths.add(topic.node)

    def _birth(self, topic: Topic, payload: wire.Payload, message: Received) -> None:
        names: dict[str, Known] = {}
        aliases: dict[int, Known] = {}
        twice: set[int] = set()
        sent_us = _sent_us(payload)
        for metric in payload.metrics:
            name = _name(metric)
            if name is None:
                self.rows.add(topic, metric, sent_us, None, Unread("missing_metric", "a birth names every metric"))
                continue
            known = names[name] = Known(name, metric.datatype)
            if metric.HasField("alias"):
                if metric.alias in aliases:
                    twice.add(metric.alias)
                aliases[metric.alias] = known
            if not _of_protocol(name):
                self._sample(topic, metric, known, sent_us)
        for alias in twice:
            # Two names for one number: to guess would be to store under the wrong name.
            del aliases[alias]
        self.nodes[topic.node] = self.nodes[topic.node].with_birth(topic.device, Born(names, aliases, sent_us))
        self._seen(topic, message)

    def _data(self, topic: Topic, payload: wire.Payload, message: Received, *, repeated: bool) -> None:
        sent_us = _sent_us(payload)
        node = self.nodes.get(topic.node)
        born = node.born.get(topic.device) if node is not None else None
        if born is None:
            self.rebirths.add(topic.node)
            detail = f"{topic.source} sends data and its birth is not known: it was asked to send it again"
            self._refuse(message, "no_birth", detail, sent_us)
            return
        if repeated and sent_us < born.sent_us:
            detail = f"an old message once more: {topic.source} was born anew since, its aliases have changed"
            self._refuse(message, "before_birth", detail, sent_us)
            return
        if not payload.metrics:
            self._refuse(message, "unknown_shape", "a message without metrics", sent_us)
        for metric in payload.metrics:
            known = self._known(topic, metric, born)
            if isinstance(known, Unread):
                self.rows.add(topic, metric, sent_us, None, known)
            elif not _of_protocol(known.name):
                self._sample(topic, metric, known, sent_us)
        self._seen(topic, message)

    def _known(self, topic: Topic, metric: wire.Metric, born: Born) -> Known | Unread:
        if metric.name:
            name = _name(metric)
            if name is None:
                return Unread("bad_utf8", "the metric's name is not UTF-8")
            known = born.metrics.get(name)
        elif metric.HasField("alias"):
            name, known = None, born.aliases.get(metric.alias)
        else:
            return Unread("missing_metric", "the metric has neither a name nor an alias")
        if known is None:
            self.rebirths.add(topic.node)
        if known is None and name is None:
            return Unread("unknown_alias", f"the birth of {topic.source} says nothing of alias {metric.alias}")
        return known or Known(name or "", 0)

    def _sample(self, topic: Topic, metric: wire.Metric, known: Known, sent_us: int) -> None:
        said: Value | Unread
        try:
            said = value(metric, known.datatype)
        except Unread as error:
            said = error
        self.rows.add(topic, metric, sent_us, known.name, said, quality(metric))

    def _seen(self, topic: Topic, message: Received) -> None:
        """Remember the newest sample, so that a death comes after it; a clock far ahead does not count."""
        newest = self.rows.newest_us
        self.rows.newest_us = 0
        node = self.nodes[topic.node]
        if node.newest_us < newest <= message.arrived_us + _SLACK_US:
            self.nodes[topic.node] = replace(node, newest_us=newest)

    def _node_death(self, topic: Topic, payload: wire.Payload, message: Received) -> None:
        """A will, written when the node connected: its own time is that of the connection, so its arrival counts."""
        node = self.nodes.get(topic.node)
        if node is None:
            return
        bd_seq = _bd_seq(payload)
        if bd_seq is None and node.bd_seq is not None:
            detail = "a death without bdSeq: nobody can tell whether it belongs to the session that is alive"
            self._refuse(message, "unknown_shape", detail)
            return
        if node.bd_seq is not None and bd_seq != node.bd_seq:
            return  # the will of an earlier connection, delivered late
        at_us = max(message.arrived_us, node.newest_us + 1_000)
        for device, born in node.born.items():
            self._stale(replace(topic, device=device), born, at_us)
        del self.nodes[topic.node]

    def _device_death(self, topic: Topic, at_us: int) -> None:
        node = self.nodes.get(topic.node)
        born = node.born.get(topic.device) if node is not None else None
        if node is not None and born is not None:
            self._stale(topic, born, at_us)
            self.nodes[topic.node] = node.without(topic.device)

    def _stale(self, topic: Topic, born: Born, at_us: int) -> None:
        for known in born.metrics.values():
            if not _of_protocol(known.name):
                self.rows.add_stale(topic, known, at_us)


def rebirth_command(sent_ms: int) -> bytes:
    """The command that makes an edge node send its birth again."""
    name = b"Node Control/Rebirth"
    command = wire.Metric(name=name, timestamp=sent_ms, datatype=11, boolean_value=True)
    return wire.Payload(timestamp=sent_ms, metrics=[command]).SerializeToString()


def _payload(data: bytes) -> wire.Payload:
    if len(data) > PAYLOAD_LIMIT:
        raise Unread("too_large", f"{len(data)} bytes are no message: {PAYLOAD_LIMIT // 2**20} MiB is the limit")
    try:
        payload = wire.Payload.FromString(data)
    except (DecodeError, RecursionError) as error:
        raise Unread("bad_protobuf", "the payload is no Sparkplug B message") from error
    if payload.uuid == _COMPRESSED:
        raise Unread("compressed", "the payload is compressed: turn compression off in the edge node")
    return payload


def _kept(message: Received) -> str:
    cut = message.payload[:_KEPT]
    more = {"bytes": len(message.payload)} if len(cut) < len(message.payload) else {}
    return payload_of({"topic": message.topic, **more, "base64": base64.b64encode(cut).decode()}, 9_000)


def _sent_us(payload: wire.Payload) -> int:
    if not payload.HasField("timestamp") or payload.timestamp > 2**53:
        return NO_TIME
    return payload.timestamp * 1_000


def _name(metric: wire.Metric) -> str | None:
    try:
        return metric.name.decode("utf-8") or None
    except UnicodeDecodeError:
        return None


def _bd_seq(payload: wire.Payload) -> int | None:
    for metric in payload.metrics:
        if metric.name == b"bdSeq":
            return metric.int_value if metric.WhichOneof("value") == "int_value" else metric.long_value
    return None


def _of_protocol(name: str) -> bool:
    """Metrics that drive the protocol and say nothing of the machine."""
    return name == "bdSeq" or name.startswith(("Node Control/", "Device Control/"))


def _gap(node: Node, seq: int, missing: int, in_doubt: bool) -> str:
    said = f"expected sequence number {node.next_seq}, got {seq}: "
    if in_doubt:
        return said + "a birth may be lost, no alias can be trusted; the birth was asked for again"
    return said + f"{missing} message(s) were lost on the way; the birth was asked for again"
