"""Messages to samples, by the feed their topic belongs to.

Belongs here: which feed reads a topic. Does not belong here: how a format is read (`prodlytics.formats`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from paho.mqtt.client import topic_matches_sub

from prodlytics.edge.inbox import Message
from prodlytics.formats import kepserverex, plain, sparkplug
from prodlytics.formats.judge import Rules
from prodlytics.formats.sample import Parsed, explained
from prodlytics.formats.sparkplug_session import NO_SESSIONS, NodeId, Sessions
from prodlytics.plant.model import Feed, Plant

#: A message of a gateway has a thousand samples, ten thousand at most: 1.5 MB. What is larger is looked into by nobody.
PAYLOAD_LIMIT = 8 * 2**20


@dataclass
class Read:
    """What messages say.

    Attributes:
        parsed: Samples to store and rows to explain, one batch per feed.
        sessions: Feed to its Sparkplug sessions after these messages; `Feeds.keep` makes them the ones that hold.
        rebirths: Sparkplug nodes that have to say their birth again.
    """

    parsed: list[Parsed] = field(default_factory=list)
    sessions: dict[str, Sessions] = field(default_factory=dict)
    rebirths: set[NodeId] = field(default_factory=set)


class Feeds:
    """The feeds of a plant, and what is known of the edge nodes behind them."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self._filters = [(topic_filter(feed), feed) for feed in plant.feeds]
        self._fields = {feed.name: kepserverex.Fields.named(dict(feed.fields)) for feed in plant.feeds}
        self._of_topic = lru_cache(maxsize=100_000)(self._find)
        self.sessions: Mapping[str, Sessions] = {}
        "Feed to what is known of its edge nodes."

    @property
    def subscriptions(self) -> list[str]:
        """What to subscribe to."""
        return sorted({name for name, _ in self._filters})

    @property
    def speaks_sparkplug(self) -> bool:
        """Whether edge nodes may ask whether we are there."""
        return any(feed.format == "sparkplug" for feed in self.plant.feeds)

    def parse(self, messages: Sequence[Message], now: dt.datetime) -> Read:
        """Samples of messages, one batch per feed, in the order they arrived.

        Changes nothing: messages whose samples could not be stored are parsed again. `keep` what was stored.
        """
        rules = Rules.of(self.plant, now)
        by_feed: dict[str, tuple[Feed, list[Message]]] = {}
        for message in messages:
            feed = self._of_topic(message.topic)
            if feed is not None:
                by_feed.setdefault(feed.name, (feed, []))[1].append(message)
        read = Read()
        for feed, own in by_feed.values():
            read.parsed += [_too_large(message) for message in own if len(message.payload) > PAYLOAD_LIMIT]
            own = [message for message in own if len(message.payload) <= PAYLOAD_LIMIT]
            read.parsed.append(self._parse(feed, own, rules, read))
        return read

    def keep(self, read: Read) -> None:
        """The messages are stored: what they said of edge nodes holds from now on."""
        if read.sessions:
            self.sessions = {**self.sessions, **read.sessions}

    def _parse(self, feed: Feed, messages: Sequence[Message], rules: Rules, read: Read) -> Parsed:
        origin = f"mqtt feed {feed.name}"
        if feed.format == "plain":
            values = [plain.Value(message.topic, message.payload, message.arrived_us) for message in messages]
            return plain.parse_values(values, feed.topic, rules, origin)
        if feed.format == "sparkplug":
            received = (sparkplug.Received(one.topic, one.payload, one.arrived_us) for one in messages)
            reading = sparkplug.parse_messages(received, self.sessions.get(feed.name, NO_SESSIONS), rules, origin)
            read.sessions[feed.name] = reading.sessions
            read.rebirths |= reading.rebirths
            return reading.parsed
        return kepserverex.parse_messages(
            (message.payload for message in messages), rules, origin, self._fields[feed.name]
        )

    def _find(self, topic: str) -> Feed | None:
        return next((feed for name, feed in self._filters if topic_matches_sub(name, topic)), None)


def _too_large(message: Message) -> Parsed:
    size = len(message.payload)
    begins = message.payload[:1000].decode("utf-8", "backslashreplace")
    detail = (
        f"{size} bytes are no message: {PAYLOAD_LIMIT // 2**20} MiB is the limit; let the gateway send fewer at once"
    )
    return explained("too_large", detail, {"topic": message.topic, "bytes": size, "begins": begins})


def topic_filter(feed: Feed) -> str:
    """What a feed subscribes to."""
    return plain.subscription(feed.topic) if feed.format == "plain" else feed.topic
