"""Messages to samples, by the feed their topic belongs to.

Belongs here: which feed reads a topic. Does not belong here: how a format is read (`prodlytics.formats`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import lru_cache

from paho.mqtt.client import topic_matches_sub

from prodlytics.edge.inbox import Message
from prodlytics.formats import kepserverex, plain
from prodlytics.formats.judge import Rules
from prodlytics.formats.sample import Parsed
from prodlytics.plant.model import Feed, Plant


class Feeds:
    """The feeds of a plant."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self._filters = [(topic_filter(feed), feed) for feed in plant.feeds]
        self._fields = {feed.name: kepserverex.Fields.named(dict(feed.fields)) for feed in plant.feeds}
        self._of_topic = lru_cache(maxsize=100_000)(self._find)

    @property
    def subscriptions(self) -> list[str]:
        """What to subscribe to."""
        return sorted({name for name, _ in self._filters})

    def parse(self, messages: Sequence[Message], now: dt.datetime) -> list[Parsed]:
        """Samples of messages, one batch per feed, in the order they arrived."""
        rules = Rules.of(self.plant, now)
        by_feed: dict[str, tuple[Feed, list[Message]]] = {}
        for message in messages:
            feed = self._of_topic(message.topic)
            if feed is not None:
                by_feed.setdefault(feed.name, (feed, []))[1].append(message)
        return [self._parse(feed, own, rules) for feed, own in by_feed.values()]

    def _parse(self, feed: Feed, messages: Sequence[Message], rules: Rules) -> Parsed:
        origin = f"mqtt feed {feed.name}"
        if feed.format == "plain":
            values = [plain.Value(message.topic, message.payload, message.arrived_us) for message in messages]
            return plain.parse_values(values, feed.topic, rules, origin)
        return kepserverex.parse_messages(
            (message.payload for message in messages), rules, origin, self._fields[feed.name]
        )

    def _find(self, topic: str) -> Feed | None:
        return next((feed for name, feed in self._filters if topic_matches_sub(name, topic)), None)


def topic_filter(feed: Feed) -> str:
    """What a feed subscribes to."""
    return plain.subscription(feed.topic) if feed.format == "plain" else feed.topic
