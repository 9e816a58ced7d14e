"""The spool read for the cloud: forwarding goes on while the database is away.

Belongs here: reading on from where the cloud was fed last. Does not belong here: what is chosen and sent (`choice`,
`forwarder`), storing (`bridge`). Spooled messages reach the cloud only this way and only once: when the database is
back, they are stored and not forwarded again. How far this came is in the spool's file; a kill between the outbox and
that is a few samples once more, which the outbox recognises. What the cloud's disk does not take stays in the spool,
and is offered again.
"""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING

from prodlytics.edge.cloud.forwarder import Forwarder
from prodlytics.edge.feeds import Feeds
from prodlytics.edge.sparkplug_memory import Memory
from prodlytics.edge.spool import Spool, SpoolError
from prodlytics.plant.model import Plant

if TYPE_CHECKING:
    import pandas as pd

_MESSAGES, _BYTES = 5_000, 4 * 2**20
#: How long a disk that took none is left alone: reading the same messages again and again costs a core.
_PAUSE_S = 1.0


class Ahead:
    """A second reader of the spool, ahead of the one that stores."""

    def __init__(self, plant: Plant, spool: Spool, forwarder: Forwarder) -> None:
        # Of its own: sessions of Sparkplug as they are where this one reads.
        self._feeds = Feeds(plant)
        self._spool, self._forwarder = spool, forwarder
        self._place: int | None = None
        self._again_at = 0.0
        self._most = _MESSAGES

    def read_on(self, sessions: Memory, *, leaving: bool = False) -> int:
        """Forward the next messages of the spool; the place up to which this reader came.

        Args:
            sessions: What was known of Sparkplug nodes before the first message in the spool; taken at the beginning.
            leaving: They are stored and about to leave the spool: what the disk does not take is held in memory.

        Raises:
            SpoolError: The spool cannot be read or written; nothing is lost.
        """
        if self._place is None:
            self._feeds.sessions = sessions
            # Births among the messages forwarded before a restart have to be heard once more.
            self._place = 0 if self._feeds.speaks_sparkplug else self._spool.forwarded
        if not leaving and time.monotonic() < self._again_at:
            return self._place
        known = self._spool.forwarded
        heard_before = self._place < known
        messages, last = self._spool.after(self._place, self._most, _BYTES, known if heard_before else None)
        if not messages:
            self._place = max(self._place, known)
            return self._place
        read = self._feeds.parse(messages, dt.datetime.now(dt.UTC))
        if not heard_before:
            batches = [parsed.good for parsed in read.parsed if len(parsed.good)]
            if not self._forward(batches, messages[0].arrived_us, leaving):
                return self._place
            self._spool.was_forwarded(last)
        self._feeds.keep(read)
        self._place = last
        return last

    def _forward(self, batches: list[pd.DataFrame], since_us: int, leaving: bool) -> bool:
        if leaving:
            self._forwarder.take(batches, since_us)
            return True
        try:
            self._forwarder.offer(batches, since_us)
        except SpoolError:
            self._again_at = time.monotonic() + _PAUSE_S
            # Fewer may find room.
            self._most = max(1, self._most // 8)
            return False
        self._most = _MESSAGES
        return True

    def rest(self) -> None:
        """The spool is empty: what is stored at once is forwarded at once."""
        self._place = None
