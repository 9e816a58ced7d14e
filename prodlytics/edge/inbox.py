"""Messages that have arrived and are not acknowledged yet.

Belongs here: the message, and the bounded place between the network's thread and the writer's. Does not belong here:
what a message says. Bounded twice: the broker sends no more unacknowledged messages than the connection allows
(`receive_maximum`), and a message that would go over the limit of bytes makes the network's thread wait.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass

#: A batch of fewer costs about as much as of one.
FEW = 16


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message.

    Attributes:
        topic: Where it was published.
        payload: Its bytes.
        arrived_us: Our clock when it arrived, microseconds since 1970 UTC.
        mid: Its packet id, for the acknowledgement; 0 for quality of service 0.
        connection: Number of the connection it came over: an id means nothing on another one.
    """

    topic: str
    payload: bytes
    arrived_us: int
    mid: int = 0
    connection: int = 0


class Inbox:
    """A queue that knows its size in bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._messages: deque[Message] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._closed = False
        self._wake_at, self._wake_at_bytes = 1, max_bytes

    def put(self, message: Message) -> None:
        """Add a message; waits while the inbox is full, unless it is empty or closed."""
        with self._changed:
            while self._messages and self._bytes + len(message.payload) > self._max_bytes and not self._closed:
                self._changed.wait()
            self._messages.append(message)
            self._bytes += len(message.payload)
            if len(self._messages) >= self._wake_at or self._bytes >= self._wake_at_bytes:
                self._changed.notify_all()

    def take(self, most: int, most_bytes: int, wait_s: float, linger_s: float) -> list[Message]:
        """The oldest messages, at most so many; empty if none came in `wait_s`.

        Args:
            most: How many.
            most_bytes: Of how many bytes together; the first one always.
            wait_s: How long to wait for the first.
            linger_s: How long the first one waits for more, from its arrival: a commit for every message would cost a
                core. Half as long once there are `FEW`: waiting for more saves little then.
        """
        with self._changed:
            self._wake_at, self._wake_at_bytes = 1, most_bytes
            self._changed.wait_for(lambda: self._messages or self._closed, wait_s)
            if not self._messages:
                return []
            self._gather(min(FEW, most), most_bytes, linger_s)
            self._gather(most, most_bytes, linger_s / 2)
            taken: list[Message] = []
            size = 0
            while self._messages and len(taken) < most:
                size += len(self._messages[0].payload)
                if taken and size > most_bytes:
                    break
                taken.append(self._messages.popleft())
            self._bytes -= sum(len(message.payload) for message in taken)
            self._changed.notify_all()
            return taken

    def _gather(self, most: int, most_bytes: int, linger_s: float) -> None:
        """Wait until so much is there or the first message has waited so long; nobody is woken before."""
        self._wake_at = most
        waited_s = time.time() - self._messages[0].arrived_us / 1e6
        self._changed.wait_for(
            lambda: len(self._messages) >= most or self._bytes >= most_bytes or self._closed,
            # Our clock may be set while we wait.
            min(max(linger_s - waited_s, 0.0), linger_s),
        )

    def close(self) -> None:
        """Let everybody go on who waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def size_bytes(self) -> int:
        """Bytes of the payloads in it."""
        return self._bytes
