"""paho's client, reading many messages with one system call and acknowledging many with one packet.

Belongs here: what paho leaves out for speed, and nothing else: one byte read at a time and one write for each
acknowledgement cost more than reading the message does. Does not belong here: sessions, topics (`broker`). It leans on
three inner methods of paho 2 (`_create_socket`, `_packet_queue`, and that `pending()` of a socket is asked before
waiting for it, which is there for TLS).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTErrorCode

_CHUNK = 1 << 16
_PUBACK = 0x40


class Client(mqtt.Client):
    """A client for many small messages."""

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        """Read what has come: at least one packet, and all that lie in our buffer already."""
        while True:
            done = super().loop_read(max_packets)
            line = self.socket()
            if done != MQTTErrorCode.MQTT_ERR_SUCCESS or not isinstance(line, _Buffered) or not line.buffered:
                return done

    def acknowledge(self, mids: Sequence[int]) -> None:
        """Acknowledge messages of quality of service 1, in this order, by their packet ids."""
        packets = b"".join(struct.pack(">BBH", _PUBACK, 2, mid) for mid in mids)
        if packets:
            self._packet_queue(_PUBACK, packets, 0, 1)

    def _create_socket(self) -> Any:
        return _Buffered(super()._create_socket())


class _Buffered:
    """A socket that reads more than it is asked for."""

    def __init__(self, line: Any) -> None:
        self._line = line
        self._data = b""
        self._at = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._line, name)

    @property
    def buffered(self) -> int:
        """Bytes that were read and not asked for yet."""
        return len(self._data) - self._at

    def pending(self) -> int:
        """Bytes that can be read without waiting for the network."""
        return self.buffered or (self._line.pending() if hasattr(self._line, "pending") else 0)

    def recv(self, size: int) -> bytes:
        """Up to so many bytes; empty at the end. Raises what the socket raises while nothing has come."""
        if not self.buffered:
            self._data, self._at = self._line.recv(max(size, _CHUNK)), 0
        taken = self._data[self._at : self._at + size]
        self._at += len(taken)
        return taken
