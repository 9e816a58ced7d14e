"""What is known of Sparkplug edge nodes while they are alive: births, aliases, sequence numbers.

Belongs here: topics, the state of a session and how messages change it. Does not belong here: what payloads say
(`sparkplug.py`). Everything is a value that is never changed: reading a batch gives new sessions beside the old ones,
and whoever could not store the batch reads it again from the old ones.

A session that was kept across a restart is `restored`: it holds until the node's next birth, which is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

NAMESPACE = "spBv1.0"
#: Sequence numbers run from 0 to 255.
SEQUENCES = 256
#: A number that lies further ahead than this is behind, not ahead.
_AHEAD = SEQUENCES // 2
_OF_NODE = frozenset(("NBIRTH", "NDATA", "NDEATH"))
_OF_DEVICE = frozenset(("DBIRTH", "DDATA", "DDEATH"))
#: What hosts say; edge nodes say nothing here.
_OF_HOST = frozenset(("NCMD", "DCMD"))


class NodeId(NamedTuple):
    """An edge node: its group and its own name."""

    group: str
    edge: str


@dataclass(frozen=True, slots=True)
class Topic:
    """Who says what: the kind of message, its node, and the device ('' for the node itself)."""

    kind: str
    node: NodeId
    device: str = ""

    @classmethod
    def of(cls, topic: str) -> Topic | None:
        """The parts of a topic; None where it is no topic of Sparkplug B."""
        parts = topic.split("/")
        if parts[0] != NAMESPACE or "" in parts:
            return None
        if len(parts) == 4 and parts[2] in _OF_NODE:
            return cls(parts[2], NodeId(parts[1], parts[3]))
        if len(parts) == 5 and parts[2] in _OF_DEVICE:
            return cls(parts[2], NodeId(parts[1], parts[3]), parts[4])
        return None

    @property
    def source(self) -> str:
        """Group, node and device with dots, as an alias in `plant.yaml` names them."""
        return ".".join((*self.node, self.device) if self.device else self.node)


def said_by_host(topic: str) -> bool:
    """Whether a topic carries commands or the state of a host, ours among them: nothing to store."""
    parts = topic.split("/")
    return parts[0] == NAMESPACE and ((len(parts) > 2 and parts[2] in _OF_HOST) or parts[1:2] == ["STATE"])


@dataclass(frozen=True, slots=True)
class Known:
    """A metric as its birth announced it."""

    name: str
    datatype: int


@dataclass(frozen=True, slots=True)
class Born:
    """The metrics of a node or device since its birth, by name and by alias, and when the birth was sent."""

    metrics: Mapping[str, Known]
    aliases: Mapping[int, Known]
    sent_us: int


@dataclass(frozen=True, slots=True)
class Node:
    """One session of an edge node.

    Attributes:
        born: Device ('' for the node itself) to what it announced.
        announced: Whether the node's own birth was seen; a device's birth alone is half a session.
        bd_seq: Number of the session, which its death repeats.
        next_seq: The sequence number its next message must have; None while nobody knows.
        sent_us: When its last message was sent, microseconds since 1970 UTC.
        newest_us: Its newest sample that is not historical.
        restored: Whether it was remembered across a restart of ours: what was missed meanwhile is no sign of a new
            birth, since the death before that would have been kept for us.
    """

    born: Mapping[str, Born] = field(default_factory=lambda: MappingProxyType({}))
    announced: bool = False
    bd_seq: int | None = None
    next_seq: int | None = None
    sent_us: int = 0
    newest_us: int = 0
    restored: bool = False

    def with_birth(self, device: str, born: Born) -> Node:
        """The session after a device's birth."""
        return replace(self, born={**self.born, device: born})

    def without(self, device: str) -> Node:
        """The session after a device's death."""
        return replace(self, born={name: born for name, born in self.born.items() if name != device})


Sessions = Mapping[NodeId, Node]
NO_SESSIONS: Sessions = MappingProxyType({})


class Order(NamedTuple):
    """What a sequence number says.

    `missing` messages were lost, a birth may be among them (`in_doubt`); or the message is `repeated`, an old one.
    """

    node: Node
    missing: int = 0
    in_doubt: bool = False
    repeated: bool = False


def in_order(node: Node, seq: int | None, sent_us: int) -> Order:
    """Hold a message's sequence number against the session.

    A few missing messages leave the aliases as they are. A number from behind is either an old message once more, which
    its time tells, or a new birth that was lost: then no alias can be trusted.
    """
    if seq is None:
        return Order(replace(node, sent_us=max(node.sent_us, sent_us)))
    ahead = 0 if node.next_seq is None else (seq - node.next_seq) % SEQUENCES
    if ahead >= _AHEAD and sent_us <= node.sent_us:
        return Order(node, repeated=True)
    after = replace(node, next_seq=(seq + 1) % SEQUENCES, sent_us=max(node.sent_us, sent_us))
    if ahead >= _AHEAD and not node.restored:
        return Order(replace(after, born=MappingProxyType({}), announced=False), ahead, in_doubt=True)
    return Order(after, ahead)
